from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from pipelines.evaluate.bootstrap import Interval
from pipelines.evaluate.comparison import Difference
from pipelines.report import findings
from pipelines.report.finding_rules import Verdict
from pipelines.report.findings import Evidence, find_all, tally
from pipelines.report.published import REPORT, Place
from pipelines.report.results import RunResults, load_results
from pipelines.studies.results import StudyRecord, TrialResult
from tests.pipelines.report.run_folder import write_run
from tests.pipelines.studies.test_results import trial

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


def evidence(
    run: RunResults, gain: Difference | None = None, cost: dict[str, Any] | None = None
) -> Evidence:
    """The figures of a run, with a given difference of its models."""
    found = Evidence(run, cost=cost)
    vars(found)["gain"] = gain
    return found


def with_histories(
    run: RunResults, column: str, histories: Mapping[str, Sequence[float]]
) -> RunResults:
    models = [
        replace(model, history=dict(model.history) | {column: histories[model.name]})
        for model in run.models
    ]
    return replace(run, models=models)


def test_gain_is_of_the_largest_model_and_the_smallest(run: RunResults) -> None:
    found = Evidence(run).gain
    assert found is not None
    assert found.first == pytest.approx(run.models[0].kept.accuracy)
    assert found.second == pytest.approx(run.models[1].kept.accuracy)
    assert Evidence(replace(run, models=run.models[:1])).gain is None


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
    found = findings.judge_capacity(evidence(with_histories(run, "seconds", both), accuracy))
    assert found.verdict == verdict
    assert found.effects[0].name == "two minus one, accuracy"
    assert found.effects[0].value == "+40.0 points"


def test_capacity_takes_steps_at_full_length_before_epochs(run: RunResults) -> None:
    steps = {"one": [[0.1, 1.0], [0.1, 1.1], [0.1, 1.2]], "two": [[9, 3.0], [9, 3.1], [9, 3.2]]}
    cost = {"models": {name: {"seconds": seconds} for name, seconds in steps.items()}}
    # The epochs of both models took the same time.
    assert findings.judge_capacity(evidence(run, GAIN)).verdict == "undecided"
    found = findings.judge_capacity(evidence(run, GAIN, cost))
    assert found.verdict == "confirmed"
    assert found.effects[1].value.startswith("\N{MULTIPLICATION SIGN} 2.8")
    assert found.rests_on[1][0] == "cost"


def test_capacity_is_undecided_of_one_model(run: RunResults) -> None:
    found = findings.judge_capacity(evidence(replace(run, models=run.models[:1])))
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
    accuracy = Evidence(run).gain
    found = findings.judge_epochs(evidence(with_histories(run, "val_accuracy", both), accuracy))
    assert found.verdict == verdict
    assert found.effects[0].name == "one: 0.1000 to 0.9000, best in epoch 4 of 4"


def test_epochs_widens_its_interval_where_instruments_weigh_more(run: RunResults) -> None:
    spans = []
    for half in (0.3, 0.6):
        found = findings.judge_epochs(
            evidence(run, replace(GAIN, interval=(0.4 - half, 0.4 + half)))
        )
        low, high = (float(end) for end in found.effects[0].interval.split(" to "))
        spans.append(high - low)
    assert spans[1] == pytest.approx(2 * spans[0], abs=0.3)


def test_layers_that_differ_at_once_are_undecided_with_what_would_decide(run: RunResults) -> None:
    claims = dict(zip([text.name for text in REPORT.findings], find_all(run), strict=True))
    for found in (claims["pooling_and_dropout"], claims["dense_layer"]):
        assert found.verdict == "undecided"
        assert "would decide it" in found.left_open


def test_dense_layer_counts_those_that_others_follow(run: RunResults) -> None:
    layers = (("Flatten", (8,), 0), ("Dense", (24,), 216), ("Dense", (10,), 250))
    model = replace(run.models[0], layers=layers, num_parameters=466)
    found = findings.judge_dense_layer(Evidence(replace(run, models=[model])))
    assert found.effects[0].value == "216 of 466"


def test_find_all_judges_all_eight_findings(tmp_path: Path) -> None:
    found = find_all(load_results(write_run(tmp_path)))
    assert len({claim.finding for claim in found}) == 8
    assert all(claim.rule and claim.rests_on for claim in found)
    assert {place for claim in found for place, _ in claim.rests_on} <= set(get_args(Place))
    # The run left an unreadable record aside, and has neither features.json nor cost.json.
    assert found[7].verdict == "contradicted"
    assert tally(found[2:]) == "0 confirmed, 1 contradicted, 5 undecided"


def cost(*intervals: list[float] | None) -> dict[str, Any]:
    """What of cost.json a claim reads, a model an interval."""
    models = {f"model {i}": {"exponent": 1.0, "interval": e} for i, e in enumerate(intervals)}
    return {"models": models}


@pytest.mark.parametrize(
    ("stored", "verdict"),
    [
        (cost([0.95, 1.05], [0.91, 1.0]), "confirmed"),
        (cost([0.95, 1.05], [1.2, 1.3]), "contradicted"),
        (cost([0.95, 1.05], None), "undecided"),
        (None, "undecided"),
    ],
)
def test_length_takes_each_model(
    run: RunResults, stored: dict[str, Any] | None, verdict: Verdict
) -> None:
    assert findings.judge_length(Evidence(run, cost=stored)).verdict == verdict


@pytest.mark.parametrize(
    ("heard", "gain", "verdict"),
    [
        ([0.8, 0.9], [-0.02, 0.03], "confirmed"),
        ([0.8, 0.9], [0.11, 0.24], "contradicted"),
        ([0.1, 0.2], [-0.02, 0.03], "contradicted"),
        ([0.4, 0.6], [-0.02, 0.03], "undecided"),
        ([0.8, 0.9], None, "undecided"),
    ],
)
def test_audio_asks_for_its_lead_and_for_what_metadata_add(
    run: RunResults, heard: list[float], gain: list[float] | None, verdict: Verdict
) -> None:
    intervals = {"metadata": [0.3, 0.5], "audio, one": [0.1, 0.2], "audio, two": heard}
    stored = {
        "scores": [
            {"feature": name, "accuracy": sum(ends) / 2, "interval": ends}
            for name, ends in intervals.items()
        ],
        "gain": {"difference": 0.0, "interval": gain},
    }
    found = findings.judge_audio(Evidence(run, stored))
    assert found.verdict == verdict
    assert found.effects[0].name == "two, which hears the audio"


def test_audio_without_scores_says_how_to_get_them(run: RunResults) -> None:
    found = findings.judge_audio(Evidence(run))
    assert (found.verdict, found.effects) == ("undecided", [])
    assert "nsynth retrain" in found.left_open


def test_batch_size_is_confirmed_only_where_a_smaller_one_ran(run: RunResults) -> None:
    assert findings.judge_batch_size(Evidence(run)).verdict == "undecided"
    asked = replace(run.record.experiment, batch_size=4_096)
    reduced = replace(run, record=replace(run.record, experiment=asked))
    assert findings.judge_batch_size(Evidence(reduced)).verdict == "confirmed"


def test_invalid_records_counts_each_data_set_once(run: RunResults) -> None:
    found = findings.judge_invalid_records(Evidence(run))
    assert found.verdict == "contradicted"
    # Leaked notes and synth_lead are no defects.
    assert [effect.value for effect in found.effects] == ["2", "3"]
    # In the protocol grouped both are the same notes.
    test = run.record.datasets["test"]
    grouped = replace(run, record=replace(run.record, datasets={"train": test, "test": test}))
    assert findings.judge_invalid_records(Evidence(grouped)).effects[0].value == "1"


def test_invalid_records_without_any_are_undecided(run: RunResults) -> None:
    clean = {name: replace(side, num_quarantined=0) for name, side in run.record.datasets.items()}
    whole = replace(run, record=replace(run.record, datasets=clean))
    assert findings.judge_invalid_records(Evidence(whole)).verdict == "undecided"


def test_invalid_records_knows_the_whole_train_split(run: RunResults) -> None:
    train = replace(run.record.datasets["train"], num_quarantined=289_205 - 2_011)
    datasets = dict(run.record.datasets) | {"train": train}
    found = findings.judge_invalid_records(
        Evidence(replace(run, record=replace(run.record, datasets=datasets)))
    )
    assert "all 289,205 records" in found.left_open


def study(*trials: TrialResult) -> list[tuple[str, StudyRecord]]:
    record = StudyRecord(
        study_id="0123456789abcdef",
        name="leave-one-out",
        question="",
        protocol="validation",
        seeds=(0,),
        train={"8000": "feed"},
        trials=trials,
        candidate=None,
        created="",
    )
    return [("/root/studies/0123456789abcdef", record)]


WHOLE = trial("optimised", 0.7, 10.0)


def without(part: str, finding: str, **values: Any) -> TrialResult:
    removed = replace(WHOLE, name="without", base="optimised", finding=finding, removes=True)
    name = f"no-{part.replace(' ', '-')}"
    return replace(removed, **{"name": name, "change": f"no {part}"} | values)


@pytest.mark.parametrize(
    ("gain", "ends", "seconds", "verdict"),
    [
        (-0.2, (-0.3, -0.1), 10.0, "confirmed"),
        (0.2, (0.1, 0.3), 10.0, "contradicted"),
        (-0.2, (-0.3, -0.1), 5.0, "contradicted"),
        (-0.1, (-0.3, 0.1), 10.0, "undecided"),
    ],
)
def test_study_decides_on_the_dense_layer(
    tmp_path: Path, gain: float, ends: Interval, seconds: float, verdict: str
) -> None:
    removed = without("dense", "dense_layer", gain=gain, gain_interval=ends, epoch_seconds=seconds)
    run = load_results(write_run(tmp_path))
    claims = find_all(run, studies=study(WHOLE, removed))
    (claim,) = (one for one in claims if one.study)
    assert claim.verdict == verdict
    assert claim.study is not None
    assert claim.study[0] == "leave-one-out"
    assert not claim.left_open


def test_study_decides_on_pooling_and_dropout(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path))
    finding = "pooling_and_dropout"
    pooling = without("max pooling", finding, gain=0.01, epoch_seconds=20.0)
    dropout = without("dropout", finding, gain=0.0, gap=0.3)
    (claim,) = (one for one in find_all(run, studies=study(WHOLE, pooling, dropout)) if one.study)
    assert claim.verdict == "confirmed"
    wrong = replace(dropout, gap=-0.3)
    (claim,) = (one for one in find_all(run, studies=study(WHOLE, pooling, wrong)) if one.study)
    assert claim.verdict == "contradicted"
