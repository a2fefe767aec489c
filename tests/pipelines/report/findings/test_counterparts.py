from pathlib import Path

from pipelines.report.findings.counterparts import counterparts
from pipelines.report.results import load_results
from tests.pipelines.report.run_folder import write_run


def test_counterparts_has_every_figure_of_both_models(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path, models={"preliminary": 1.0, "optimised": 4.0}))
    found = counterparts(run, has_samples=True)
    assert len(found) == 10
    assert {of.of for of in found[1:]} == {"preliminary, optimised"}


def test_counterparts_says_what_is_missing(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path, models={"preliminary": 1.0}))
    found = {of.figure: of.of for of in counterparts(run, has_samples=False)}
    assert found["Waveform of a note"] == "not drawn: the samples could not be read"
    assert found["Confusion matrix"] == "preliminary; this run has no optimised"
    assert found["Waveforms by class: true class above .9"].endswith("could not be read")
