from pathlib import Path

from pipelines.report.summary import summary_markdown
from tests.pipelines.report.run_folder import write_run


def test_summary_markdown_has_a_row_a_model(tmp_path: Path) -> None:
    lines = summary_markdown(write_run(tmp_path)).splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in lines[2:4]}
    assert rows["preliminary"][2:] == ["57", rows["preliminary"][3], "60", "0.4104", "9,098 |"]
    assert rows["tiny"][5] == "none"
    assert len({line.count("|") for line in lines[:4]}) == 1


def test_summary_markdown_says_what_was_dropped_and_compared(tmp_path: Path) -> None:
    text = summary_markdown(write_run(tmp_path))
    assert (
        "- train: 2,011 notes seen, 2,000 kept, 1 record quarantined; "
        "dropped: 10 synth_lead, 1 leaked" in text
    )
    assert "different notes" in text


def test_summary_markdown_keeps_names_from_becoming_markup(tmp_path: Path) -> None:
    text = summary_markdown(write_run(tmp_path, models={"a|b<i>": 1.0}))
    assert "| a\\|b&lt;i> |" in text
