import json
from pathlib import Path

import pytest

from pipelines.analysis.stored import ANALYSIS_VERSION
from pipelines.decisions import Decision
from pipelines.layout import COST_FILE, FEATURES_FILE
from pipelines.registry.runs import append_decisions
from pipelines.report import formats
from pipelines.report.build import render_markdown as report_markdown
from pipelines.report.report_data import build_report_data, load_report_data
from pipelines.report.results import load_results
from tests.pipelines.report.run_folder import write_run
from tests.pipelines.report.test_findings_page import COST
from tests.pipelines.report.test_run_metrics import stored


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return report_markdown(load_report_data(stored(tmp_path_factory.mktemp("run"))))


@pytest.mark.parametrize(
    "part",
    [
        "# Run a1b2c3d4: instrument families",
        "**tiny is surely better than preliminary: ",
        "**tiny**, promoted: no champion stands against it (look 1 at the gate).",
        "| accuracy, kept notes | ",
        "different notes: 60 test notes here, the official 4,096 there",
        "| dropped: synth_lead | 10 | 0 |",
        "test: 60 records, where the official test split has 4,096",
        "| 4 | 0.5000 | 0.8000 | 0.5500 | 0.7750 |",
        "| calibration error | ",
        "| true | predicted | notes | of the family |",
        "| fundamental up to 1 kHz | 57 | 57 | ",
        "Classification report, published (4,096):",
        "| bass | 0.57 | 0.55 | 0.56 | 843 |",
        "| test, manifest digest | c0ffee |",
        "Findings of the reference: 0 confirmed, 1 contradicted, 7 undecided.",
        "- 1 note left out of training, because scored notes have the same audio.",
        "| dropped: leaked | 1 | ",
        "The verdicts are about this run alone",
        "### 8. One invalid record stopped training",
        "- Rests on: accuracy, in pairs (result); seconds of the epochs (training).",
        "    nsynth train gone/manifest.json --test gone/manifest.json",
    ],
)
def test_report_markdown_holds(part: str, text: str) -> None:
    assert part in text


def test_report_markdown_shows_the_intervals_of_each_model(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path))
    text = report_markdown(build_report_data(run))
    for model in run.models:
        ends = formats.interval(model.kept, "accuracy")
        assert f"{formats.figure(model.kept, 'accuracy')} ({ends})" in text
    assert "(too few)" in text


def test_report_markdown_shows_what_each_feature_says(tmp_path: Path) -> None:
    uri = write_run(tmp_path)
    assert "What predicts the family" not in report_markdown(load_report_data(uri))
    score = {"feature": "pitch", "accuracy": 0.25, "interval": None}
    score |= {"num_notes": 9, "num_instruments": 2, "is_constant": False}
    content = {"analysis_version": ANALYSIS_VERSION, "of": [], "scores": [score]}
    (tmp_path / FEATURES_FILE).write_text(json.dumps(content))
    assert f"| pitch | 0.2500 | {formats.NOTHING} |" in report_markdown(load_report_data(uri))


def test_report_markdown_shows_what_a_longer_note_costs_and_what_was_decided(
    tmp_path: Path,
) -> None:
    uri = write_run(tmp_path)
    quiet = report_markdown(load_report_data(uri))
    assert "What a longer note costs" not in quiet
    assert "What was done, and why" not in quiet
    (tmp_path / COST_FILE).write_text(json.dumps(COST))
    append_decisions(uri, [Decision("train", "tiny", "ran", "it was not there <b>")])
    text = report_markdown(load_report_data(uri))
    assert "| 8,000 samples | 100.00 ms |" in text
    assert "### 3. Training time is in proportion" in text
    assert "| train | tiny | ran | it was not there &lt;b> |" in text


def test_report_markdown_has_tables_whose_rows_are_alike(text: str) -> None:
    rows = [line.replace("\\|", "").count("|") for line in text.splitlines() if line[:1] == "|"]
    heads = [line for line in text.split("\n\n") if line[:1] == "|"]
    assert len(heads) > 12
    assert all(len({row.count("|") for row in table.strip().splitlines()}) == 1 for table in heads)
    assert min(rows) > 2


def test_report_markdown_keeps_names_from_becoming_markup(tmp_path: Path) -> None:
    hostile = "![a](http://b)<script>|"
    text = report_markdown(load_report_data(write_run(tmp_path, families=(hostile, "b", "c"))))
    assert "<script" not in text
    assert "![" not in text
    assert "!&#91;a](http://b)&lt;script>\\|" in text


def test_report_markdown_is_the_same_each_time(tmp_path: Path, text: str) -> None:
    assert report_markdown(load_report_data(stored(tmp_path))) == text
