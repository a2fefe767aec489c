"""The command `nsynth quarantine`, called as a function: what it lists and how it ends."""

import json
import os
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from flows.cli.output import stream_json, stream_rows
from flows.cli.stored import quarantine
from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from pipelines.errors import ConfigError, DatasetError
from tests.pipelines.convert.records import example, note, numbers, texts, tfrecord


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two data sets, one of which was refused."""
    root, parameters = tmp_path / "root", Parameters(range_bytes=300_000)
    for name, max_quarantined in (("kept", 1.0), ("refused", 0.0)):
        path = tmp_path / f"{name}.tfrecord"
        spoilt = [note(1, pitch=texts(b"60")), note(2, velocity=None)]
        records = [tfrecord(note(0)), b"foreign", tfrecord(spoilt[0], note(3), spoilt[1])]
        path.write_bytes(b"".join(records))
        options: dict[str, Any] = {"parameters": parameters, "max_quarantined": max_quarantined}
        try:
            convert([str(path)], root=str(root), num_workers=1, **options)
        except DatasetError:
            assert name == "refused"
    return root


def listed(place: Path | str, capsys: pytest.CaptureFixture[str], **options: Any) -> list[Any]:
    capsys.readouterr()
    quarantine(str(place), as_json=True, **options)
    rows: list[Any] = json.loads(capsys.readouterr().out)["quarantined"]
    return rows


def folder_of(root: Path, *, committed: bool) -> Path:
    (found,) = [
        folder
        for folder in (root / "notes").iterdir()
        if (folder / "manifest.json").exists() is committed
    ]
    return found


def test_quarantine_lists_data_sets_that_are_not_committed(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = listed(root, capsys)
    for name in ("kept", "refused"):
        own = [row for row in rows if row["source_file"] == f"{name}.tfrecord"]
        assert [row["reason"] for row in own] == ["length_crc", "wrong_type", "missing_feature"]
        assert [row["offset"] for row in own] == sorted(row["offset"] for row in own)
    refused = folder_of(root, committed=False)
    assert [row["source_file"] for row in listed(refused, capsys)] == ["refused.tfrecord"] * 3
    kept = folder_of(root, committed=True)
    assert listed(kept, capsys) == listed(kept / "manifest.json", capsys)


def test_quarantine_lists_what_a_conversion_stored_before_it_was_killed(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = folder_of(root, committed=False)
    (refused / "quarantine/spans.parquet").unlink()
    assert [row["reason"] for row in listed(refused, capsys)] == ["wrong_type", "missing_feature"]


def test_quarantine_lists_a_data_set_whose_manifest_cannot_be_read(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder_of(root, committed=True) / "manifest.json").write_bytes(b"")
    assert len(listed(root, capsys)) == 6


@pytest.mark.parametrize("place", ["notes", "empty"])
def test_quarantine_of_a_place_without_a_data_set_is_an_error(root: Path, place: str) -> None:
    (root / "empty").mkdir()
    with pytest.raises(DatasetError, match=f"there is no data set in .*/{place}; check the path"):
        quarantine(f"{root}/{place}")
    with pytest.raises(ConfigError, match=r"there is no folder .*/nowhere; check the path"):
        quarantine(f"{root}/nowhere")
    with pytest.raises(ConfigError, match="there is no file"):
        quarantine(f"{root}/nowhere/manifest.json")


def test_quarantine_stops_at_its_limit_and_says_so(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(listed(root, capsys, limit=2)) == 2
    quarantine(str(root), limit=2)
    assert capsys.readouterr().out.splitlines()[-1] == "2 listed, there are more"
    quarantine(str(root), limit=6)
    assert capsys.readouterr().out.splitlines()[-1] == "6 set aside"


def test_quarantine_prints_the_detail_and_nothing_that_a_terminal_obeys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.tfrecord"
    path.write_bytes(tfrecord(note(0), example(**{"\x1b[2J[/red]": numbers(1)})))
    convert([str(path)], root=str(tmp_path), num_workers=1, max_quarantined=1)
    quarantine(str(tmp_path))
    heading, row, last = capsys.readouterr().out.splitlines()[-3:]
    assert heading.split() == ["source_file", "offset", "length", "reason", "detail"]
    assert "there is no feature 'note_str'" in row
    assert row.endswith(r"found '\x1b[2J[/red]'")
    assert last == "1 set aside"


def rows(num: int) -> Iterator[Mapping[str, Any]]:
    return ({"offset": number, "detail": "a\tb\x1b" * 9} for number in range(num))


def test_stream_rows_holds_some_rows_at_a_time() -> None:
    peaks = []
    for num in (2_000, 20_000):
        tracemalloc.start()
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            assert stream_rows(("offset", "detail"), rows(num)) == num
            stream_json("rows", rows(num))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_stream_rows_escapes_what_is_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    stream_rows(("offset", "detail"), rows(1))
    assert capsys.readouterr().out.splitlines()[1].startswith(r"0       a\tb\x1ba\tb")
