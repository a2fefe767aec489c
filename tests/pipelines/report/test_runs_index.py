import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from pipelines import storage
from pipelines.registry.champions import Entry, set_champion
from pipelines.registry.runs import load_run, store_run
from pipelines.report.runs_index import Champion, RunRow, build_index, render_index
from tests.pipelines.report.run_folder import write_run

ENTRY: Final = Entry(
    number=1,
    model="tiny",
    run_id="a1b2c3d4",
    model_uri="runs/a1b2c3d4/tiny/model.keras",
    model_sha256="dd",
    gate=None,
    verdict="promoted",
    why="no champion stands against it",
    figures={},
    by="flow",
)


def test_build_index_links_each_report_and_names_what_is_not_complete(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a1b2c3d4")
    (tmp_path / "runs" / "a1b2c3d4" / "report.html").touch()
    (tmp_path / "runs" / "beef").mkdir()
    (tmp_path / "runs" / "beef" / "gate.parquet").touch()
    page = Path(build_index(str(tmp_path))).read_text()
    assert '<a href="runs/a1b2c3d4/report.html">a1b2c3d4</a>' in page
    assert page.count("<svg") == 4
    assert "beef</th>" in page
    assert "not complete: run the same training again" in page


def test_build_index_says_what_is_damaged(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a1b2c3d4")
    (tmp_path / "runs" / "a1b2c3d4" / "tiny" / "metrics.json").write_text("{")
    assert (
        "metrics.json is not the metrics of a model" in Path(build_index(str(tmp_path))).read_text()
    )


def test_build_index_marks_the_champions(tmp_path: Path) -> None:
    for run_id in ("a1b2c3d4", "beef"):
        uri = write_run(tmp_path / "runs" / run_id)
        store_run(replace(load_run(uri), run_id=run_id), uri)
    for number, run_id in enumerate(("beef", "a1b2c3d4"), start=1):
        assert set_champion(str(tmp_path), replace(ENTRY, number=number, run_id=run_id))
    page = Path(build_index(str(tmp_path))).read_text()
    assert "Champion of <b>tiny</b>: run a1b2c3d4, entry 2 of its registry." in page
    (row,) = re.findall(r"<tr>(?:(?!<tr>).)*>champion</span>", page, re.DOTALL)
    assert "a1b2c3d4" in row
    assert "<td>tiny<span" in row


def test_build_index_lists_runs_whose_registry_is_damaged(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a1b2c3d4")
    set_champion(str(tmp_path), ENTRY)
    (tmp_path / "registry" / "tiny" / "00001.json").write_text("{")
    page = Path(build_index(str(tmp_path))).read_text()
    assert "The champions are not known: " in page
    assert page.count("<svg") == 4


def test_build_index_reads_small_files_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(40):
        folder = tmp_path / "runs" / f"{number:04x}"
        write_run(folder, models={"tiny": 4.0}, num_notes=20)
        (folder / "tiny" / "predictions.parquet").unlink()
    page = Path(build_index(str(tmp_path))).read_text()
    assert page.count("<svg") == 80
    assert f"{tmp_path}/index.html lists 40 runs" in caplog.messages


def test_build_index_reads_many_runs_of_a_bucket_at_once(bucket: str, tmp_path: Path) -> None:
    write_run(tmp_path, models={"tiny": 4.0})
    names = ("run.json", "tiny/metrics.json", "tiny/history.json")
    for run_id in (f"{number:04x}" for number in range(20)):
        for name in names:
            uri = storage.join(bucket, "root/runs", run_id, name)
            storage.put(uri, (tmp_path / name).read_bytes())
    uri = build_index(f"{bucket}/root")
    assert uri == f"{bucket}/root/index.html"
    assert storage.read(uri).count(b"<svg") == 40


def test_build_index_of_an_empty_root_says_what_to_do(tmp_path: Path) -> None:
    assert "There is no run yet" in Path(build_index(str(tmp_path))).read_text()


def test_render_index_leaves_hostile_names_inert() -> None:
    hostile = '"><script>alert(1)</script>'
    page = render_index(
        [RunRow(hostile, hostile, hostile, (), hostile, hostile)],
        [Champion(hostile, hostile, 1)],
        hostile,
    )
    assert "<script" not in page
    assert not re.search(r"https?://", page)
