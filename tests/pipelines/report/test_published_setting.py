from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.report.published import PUBLISHED
from pipelines.report.published_comparison import counterparts, departures, describe_setting
from pipelines.report.results import RunResults, load_results
from tests.pipelines.report.run_folder import write_run


def as_published(run: RunResults) -> RunResults:
    """The run with counts of notes, and epochs, like the reference's."""
    record = run.record
    train = replace(record.datasets["train"], num_seen=12_678, num_quarantined=0, num_kept=12_667)
    support = np.sum(PUBLISHED["preliminary"].confusion_matrix, axis=1)
    matrix = [list(row) for row in np.diag(support)]
    models = [
        replace(model, every=replace(model.every, confusion_matrix=matrix)) for model in run.models
    ]
    changed = replace(
        record,
        datasets=dict(record.datasets) | {"train": train},
        experiment=replace(record.experiment, epochs=10),
    )
    return replace(run, record=changed, models=models)


def test_departures_names_all_that_differs(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path))
    assert departures(run) == [
        "its test notes are not the official 4,096",
        "its 2,012 training records are not the valid split",
        "it has 4 epochs, not 10",
    ]
    assert "about this run alone" in describe_setting(run)


def test_departures_of_the_same_setting_are_none(tmp_path: Path) -> None:
    run = as_published(load_results(write_run(tmp_path)))
    assert departures(run) == []
    assert "its verdicts are about that setting" in describe_setting(run)


def test_departures_names_another_protocol_and_split(tmp_path: Path) -> None:
    run = as_published(load_results(write_run(tmp_path)))
    experiment = replace(run.record.experiment, protocol="official", train_fraction=0.5)
    found = departures(replace(run, record=replace(run.record, experiment=experiment)))
    assert found == ["its protocol is official", "its notes are split in other parts"]


def test_counterparts_has_every_figure_of_both_models(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path, models={"preliminary": 1.0, "optimised": 4.0}))
    found = counterparts(run, has_samples=True)
    assert len(found) == 10
    assert {entry.models for entry in found[1:]} == {"preliminary, optimised"}


def test_counterparts_says_what_is_missing(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path, models={"preliminary": 1.0}))
    found = {entry.figure: entry.models for entry in counterparts(run, has_samples=False)}
    assert found["Waveform of a note"] == "not drawn: the samples could not be read"
    assert found["Confusion matrix"] == "preliminary; this run has no optimised"
    assert found["Waveforms by class: true class above .9"].endswith("could not be read")
