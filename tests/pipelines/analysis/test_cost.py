from pathlib import Path

import pytest

from pipelines.analysis.cost import measure_cost
from pipelines.analysis.stored import COST_FILE, load_cost
from pipelines.decisions import heard
from pipelines.train.plan import RunPlan


def test_measure_cost_times_each_model_at_each_length(plan: RunPlan) -> None:
    found = measure_cost(plan, force=True)
    assert list(found["models"]) == ["preliminary"]
    assert found["lengths"] == [1_000, 2_000, 4_000, 8_000]
    assert found["batch_size"] == 8
    assert found["device"].startswith("cpu (tensorflow")
    seconds = found["models"]["preliminary"]["seconds"]
    assert len(seconds) >= 3
    assert {len(times) for times in seconds} == {4}
    assert all(time > 0 for times in seconds for time in times)
    low, high = found["models"]["preliminary"]["interval"]
    assert low <= found["models"]["preliminary"]["exponent"] <= high


def test_measure_cost_is_stored_once_and_reused_until_forced(plan: RunPlan) -> None:
    first = measure_cost(plan)
    with heard() as decisions:
        assert measure_cost(plan) == first == load_cost(plan.uri)
        measure_cost(plan, force=True)
    assert [of.action for of in decisions] == ["reused", "ran"]


@pytest.mark.parametrize("damage", ["{", "[]", '{"format_version": 1}', '{"format_version": 0}'])
def test_load_cost_takes_damaged_and_other_times_for_none(tmp_path: Path, damage: str) -> None:
    (tmp_path / COST_FILE).write_text(damage)
    assert load_cost(str(tmp_path)) is None


def test_load_cost_of_a_run_without_times_is_none(tmp_path: Path) -> None:
    assert load_cost(str(tmp_path)) is None
