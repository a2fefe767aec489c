from dataclasses import replace
from typing import Any

import pytest

from pipelines.report import findings
from pipelines.report.finding_rules import Verdict
from pipelines.report.results import RunResults, load_results
from tests.pipelines.report.run_folder import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunResults:
    folder = tmp_path_factory.mktemp("run")
    return load_results(write_run(folder, models={"one": 0.5, "two": 6.0}))


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
def test_length_takes_each_model(stored: dict[str, Any] | None, verdict: Verdict) -> None:
    assert findings.length(stored).verdict == verdict


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
    found = findings.audio(run, stored)
    assert found.verdict == verdict
    assert found.effects[0].name == "two, which hears the audio"


def test_audio_without_scores_says_how_to_get_them(run: RunResults) -> None:
    found = findings.audio(run, None)
    assert (found.verdict, found.effects) == ("undecided", [])
    assert "nsynth retrain" in found.left_open


def test_batch_size_is_confirmed_only_where_a_smaller_one_ran(run: RunResults) -> None:
    assert findings.batch_size(run).verdict == "undecided"
    asked = replace(run.record.experiment, batch_size=4_096)
    reduced = replace(run, record=replace(run.record, experiment=asked))
    assert findings.batch_size(reduced).verdict == "confirmed"


def test_invalid_records_counts_each_data_set_once(run: RunResults) -> None:
    found = findings.invalid_records(run)
    assert found.verdict == "contradicted"
    # Leaked notes and synth_lead are no defects.
    assert [of.value for of in found.effects] == ["2", "3"]
    # In the protocol grouped both are the same notes.
    test = run.record.datasets["test"]
    grouped = replace(run, record=replace(run.record, datasets={"train": test, "test": test}))
    assert findings.invalid_records(grouped).effects[0].value == "1"


def test_invalid_records_without_any_are_undecided(run: RunResults) -> None:
    clean = {name: replace(side, num_quarantined=0) for name, side in run.record.datasets.items()}
    whole = replace(run, record=replace(run.record, datasets=clean))
    assert findings.invalid_records(whole).verdict == "undecided"


def test_invalid_records_knows_the_whole_train_split(run: RunResults) -> None:
    train = replace(run.record.datasets["train"], num_quarantined=289_205 - 2_011)
    datasets = dict(run.record.datasets) | {"train": train}
    found = findings.invalid_records(replace(run, record=replace(run.record, datasets=datasets)))
    assert "all 289,205 records" in found.left_open
