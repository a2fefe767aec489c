import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pipelines.decisions import Decision
from pipelines.errors import DatasetError
from pipelines.report.summaries import dataset_markdown, promotions_markdown, summary_markdown
from pipelines.validate.verdicts import Validation
from tests.pipelines.report.run_folder import write_run
from tests.pipelines.report.test_run_metrics import PROMOTED

DECISIONS = [
    Decision("convert", "a.tfrecord", "resumed", "converting 3 of 7 ranges"),
    Decision("train", "tiny", "reused", "same data | experiment"),
]


def summary(run_uri: str, *, report: str = "/data/report.html") -> str:
    return summary_markdown(run_uri, DECISIONS, report=report)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return summary(write_run(tmp_path_factory.mktemp("run")))


def test_summary_has_a_row_for_each_model(text: str) -> None:
    lines = text.splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in lines}
    assert rows["preliminary"][2:] == ["57", rows["preliminary"][3], "60", "0.4104", "9,098 |"]
    assert rows["tiny"][5] == "none"


def test_summary_says_why_each_stage_did_what_it_did(text: str) -> None:
    assert "| convert | a.tfrecord | resumed | converting 3 of 7 ranges |" in text
    assert "| train | tiny | reused | same data \\| experiment |" in text


def test_summary_says_what_was_dropped_and_compared(text: str) -> None:
    assert "|  | train | test |" in text
    assert "| dropped: synth_lead | 10 | 0 |" in text
    assert "| records quarantined | 1 | 1 |" in text
    assert "different notes" in text


def test_summary_has_a_place_for_the_verdict_on_promotion(tmp_path: Path, text: str) -> None:
    assert "## Promotion\n\nNo gate is set up: nothing was promoted.\n" in text
    # Its report is on the web, and a link then.
    url = "http://127.0.0.1:4201/a1b2/report.html"
    run_uri = write_run(tmp_path, models={"tiny": 4.0})
    other = summary_markdown(run_uri, [], report=url, gate="Refused: 0.1 below the champion.")
    assert "## Promotion\n\nRefused: 0.1 below the champion.\n" in other
    assert f"[report.html]({url})" in other
    assert "`/data/report.html`" in text


def test_summary_holds_a_picture_of_each_model(text: str) -> None:
    pictures = re.findall(r"data:image/png;base64,([\w+/=]+)", text)
    sizes = [Image.open(io.BytesIO(base64.b64decode(data))).size for data in pictures]
    assert len(sizes) == 2
    assert all(width > 400 for width, _ in sizes)


def test_summary_refuses_names_that_are_markup(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"models\.a\|b<i>.*'a\|b<i>' is not a name of letters"):
        summary(write_run(tmp_path, models={"a|b<i>": 1.0}))


def test_dataset_markdown_says_what_is_kept_and_why() -> None:
    validation = Validation(
        manifest_uri="notes/0a/manifest.json",
        manifest_digest="m",
        verdict_digest="v",
        uri="notes/0a/validation/v",
        num_seen=1_010,
        num_kept=1_007,
        num_quarantined=2,
        dropped={"silent": 3},
        families={"bass": 1_000, "reed": 7},
        official="1,012 records.",
    )
    text = dataset_markdown(validation, DECISIONS[:1])
    assert text.startswith("# 1,007 of 1,010 notes kept\n")
    assert "| bass | 1,000 |" in text
    assert "| convert | a.tfrecord | resumed |" in text


def test_promotions_markdown_has_the_alarms_first_and_a_row_for_each_model() -> None:
    worse = replace(
        PROMOTED,
        model="other",
        outcome="kept champion",
        why="it is | worse",
        quality_drop=True,
        health=("defective notes of the train data rose from 0.0% to 10.0%",),
        is_news=False,
    )
    alarms, *rows = promotions_markdown([PROMOTED, worse]).split("| Model |")
    assert alarms.count("**") == 4
    assert "**other of run a1b2c3d4 is worse than the champion: it is \\| worse**" in alarms
    assert "**the data of other of run a1b2c3d4 got worse: defective notes of" in alarms
    (table,) = rows
    assert "| tiny | promoted | no champion stands against it | look 1 at this gate, " in table
    assert "| other | kept champion before | it is \\| worse |" in table
    assert "40 notes of 9 instruments" in table
