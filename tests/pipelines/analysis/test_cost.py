import json
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.analysis.cost import MIN_ROUNDS, measure_cost
from pipelines.analysis.stored import COST_FORMAT, load_cost
from pipelines.decisions import collect_decisions
from pipelines.layout import COST_FILE
from pipelines.train.selection.run_plan import RunPlan


def test_measure_cost_times_each_model_once_until_forced(plan: RunPlan) -> None:
    with collect_decisions() as decisions:
        first = measure_cost(plan, budget_sec=0)
        assert measure_cost(plan) == first == load_cost(plan.uri)
        measure_cost(plan, force=True, budget_sec=0)
    assert [decision.action for decision in decisions] == ["ran", "reused", "ran"]
    assert list(first["models"]) == ["preliminary"]
    assert first["lengths"] == [1_000, 2_000, 4_000, 8_000]
    assert first["batch_size"] == 8
    assert first["device"].startswith("cpu (tensorflow")
    times = first["models"]["preliminary"]
    assert np.shape(times["seconds"]) == (MIN_ROUNDS, 4)
    assert np.min(times["seconds"]) > 0
    low, high = times["interval"]
    assert low <= times["exponent"] <= high


WHOLE = {
    "format_version": COST_FORMAT,
    "of": "a1b2c3d4",
    "device": "cpu",
    "batch_size": 8,
    "lengths": [1_000, 8_000],
    "models": {"tiny": {"exponent": 1.0, "interval": None, "seconds": [[0.1, 0.8]]}},
}


def test_load_cost_takes_damaged_and_other_times_for_none(tmp_path: Path) -> None:
    file = tmp_path / COST_FILE
    file.write_text(json.dumps(WHOLE))
    assert load_cost(str(tmp_path)) == WHOLE
    short = {"tiny": {"exponent": 1.0, "interval": None, "seconds": [[0.1]]}}
    changes: list[dict[str, Any]] = [
        {"format_version": 0},
        {"models": {}},
        {"models": short},
        {"lengths": None},
    ]
    for change in changes:
        file.write_text(json.dumps(WHOLE | change))
        assert load_cost(str(tmp_path)) is None
    for damage in ("{", "[]", "{}"):
        file.write_text(damage)
        assert load_cost(str(tmp_path)) is None


def test_load_cost_of_a_run_without_times_is_none(tmp_path: Path) -> None:
    assert load_cost(str(tmp_path)) is None
