from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from pipelines.evaluate.comparison import Difference
from pipelines.report import findings
from pipelines.report.finding_rules import Verdict
from pipelines.report.findings import Place, find_all, tally
from pipelines.report.results import RunResults, load_results
from tests.pipelines.report.run_folder import write_run

GAIN = Difference(0.2, 0.6, 0.4, (0.3, 0.5))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunResults:
    """Two models of one size, in the order of their names, validated on 400 notes."""
    folder = tmp_path_factory.mktemp("run")
    found = load_results(write_run(folder, models={"one": 0.5, "two": 6.0}))
    models = {
        name: replace(model, trainings=(replace(model.trainings[0], num_validation=400),))
        for name, model in found.record.models.items()
    }
    return replace(found, record=replace(found.record, models=models))


def with_histories(
    run: RunResults, column: str, histories: Mapping[str, Sequence[float]]
) -> RunResults:
    models = [
        replace(of, history=dict(of.history) | {column: histories[of.name]}) for of in run.models
    ]
    return replace(run, models=models)


def test_difference_is_of_the_largest_model_and_the_smallest(run: RunResults) -> None:
    found = findings.difference(run)
    assert found is not None
    assert found.first == pytest.approx(run.models[0].kept.accuracy)
    assert found.second == pytest.approx(run.models[1].kept.accuracy)
    assert findings.difference(replace(run, models=run.models[:1])) is None


@pytest.mark.parametrize(
    ("seconds", "accuracy", "verdict"),
    [
        ([9.0, 40.0, 41.0, 42.0], GAIN, "confirmed"),
        ([9.0, 10.0, 10.1, 10.2], GAIN, "contradicted"),
        ([9.0, 10.0, 20.0, 40.0], GAIN, "undecided"),
        ([9.0, 40.0, 41.0, 42.0], replace(GAIN, interval=(-0.5, -0.3)), "contradicted"),
        ([9.0, 40.0, 41.0, 42.0], replace(GAIN, interval=(-0.1, 0.3)), "undecided"),
        ([9.0, 40.0, 41.0, 42.0], replace(GAIN, interval=None), "undecided"),
        ([90.0], GAIN, "undecided"),
    ],
)
def test_capacity_asks_for_accuracy_and_for_time(
    run: RunResults, seconds: list[float], accuracy: Difference, verdict: Verdict
) -> None:
    both = {"one": [30.0, 20.0, 20.1, 20.2], "two": seconds}
    found = findings.capacity(with_histories(run, "seconds", both), accuracy, None)
    assert found.verdict == verdict
    assert found.effects[0].name == "two minus one, accuracy"
    assert found.effects[0].value == "+40.0 points"


def test_capacity_takes_steps_at_full_length_before_epochs(run: RunResults) -> None:
    steps = {"one": [[0.1, 1.0], [0.1, 1.1], [0.1, 1.2]], "two": [[9, 3.0], [9, 3.1], [9, 3.2]]}
    cost = {"models": {name: {"seconds": seconds} for name, seconds in steps.items()}}
    # The epochs of both models took the same time.
    assert findings.capacity(run, GAIN, None).verdict == "undecided"
    found = findings.capacity(run, GAIN, cost)
    assert found.verdict == "confirmed"
    assert found.effects[1].value.startswith("\N{MULTIPLICATION SIGN} 2.8")
    assert found.rests_on[1][0] == "cost"


def test_capacity_is_undecided_of_one_model(run: RunResults) -> None:
    found = findings.capacity(replace(run, models=run.models[:1]), None, None)
    assert (found.verdict, found.effects) == ("undecided", [])
    assert "train both" in found.left_open


@pytest.mark.parametrize(
    ("course", "verdict"),
    [
        ([0.2, 0.5, 0.7, 0.9], "confirmed"),
        ([0.9, 0.6, 0.4, 0.2], "contradicted"),
        ([0.5, 0.6, 0.5, 0.51], "undecided"),
        ([0.5], "undecided"),
    ],
)
def test_epochs_follows_validation_accuracy_from_first_to_last(
    run: RunResults, course: list[float], verdict: Verdict
) -> None:
    both = {"one": [0.1, 0.3, 0.6, 0.9], "two": course}
    accuracy = findings.difference(run)
    found = findings.epochs(with_histories(run, "val_accuracy", both), accuracy)
    assert found.verdict == verdict
    assert found.effects[0].name == "one: 0.1000 to 0.9000, best in epoch 4 of 4"


def test_epochs_widens_its_interval_where_instruments_weigh_more(run: RunResults) -> None:
    spans = []
    for half in (0.3, 0.6):
        found = findings.epochs(run, replace(GAIN, interval=(0.4 - half, 0.4 + half)))
        low, high = (float(end) for end in found.effects[0].interval.split(" to "))
        spans.append(high - low)
    assert spans[1] == pytest.approx(2 * spans[0], abs=0.3)


def test_layers_that_differ_at_once_are_undecided_with_what_would_decide(run: RunResults) -> None:
    for found in (findings.pooling_and_dropout(run), findings.dense_layer(run)):
        assert found.verdict == "undecided"
        assert "would decide it" in found.left_open


def test_dense_layer_counts_those_that_others_follow(run: RunResults) -> None:
    layers = (("Flatten", (8,), 0), ("Dense", (24,), 216), ("Dense", (10,), 250))
    model = replace(run.models[0], layers=layers, num_parameters=466)
    found = findings.dense_layer(replace(run, models=[model]))
    assert found.effects[0].value == "216 of 466"


def test_claims_says_something_of_all_eight_findings(tmp_path: Path) -> None:
    found = find_all(load_results(write_run(tmp_path)), None, None)
    assert len({of.finding for of in found}) == 8
    assert all(of.rule and of.rests_on for of in found)
    assert {place for of in found for place, _ in of.rests_on} <= set(get_args(Place))
    # The run left an unreadable record aside, and has neither features.json nor cost.json.
    assert found[7].verdict == "contradicted"
    assert tally(found[2:]) == "0 confirmed, 1 contradicted, 5 undecided"
