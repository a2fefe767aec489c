from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import DatasetError
from pipelines.registry.ledger import add_record, read_ledger


def add(folder: str, number: int, **content: int) -> bool:
    return add_record(folder, number, content)


def read(folder: str) -> Sequence[dict[str, Any]]:
    return read_ledger(folder, dict[str, Any], what="a record")


def test_ledger_gives_back_what_was_added_in_order(root: str) -> None:
    assert read(f"{root}/log") == []
    assert all(add(f"{root}/log", number, a=number) for number in range(1, 12))
    assert [of["a"] for of in read(f"{root}/log")] == list(range(1, 12))


def test_ledger_never_changes_a_record(root: str) -> None:
    assert add(f"{root}/log", 1, a=1)
    assert not add(f"{root}/log", 1, a=2)
    assert not add(f"{root}/log", 1, a=1)
    assert [of["a"] for of in read(f"{root}/log")] == [1]


def test_ledger_says_which_record_is_missing(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        add(str(tmp_path), number, a=number)
    (tmp_path / "00002.json").unlink()
    with pytest.raises(DatasetError, match=r"00002\.json is missing; restore it"):
        read(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format_version": 3}', "expected format_version 1 or 2 in .*00001.json, found 3; use"),
        ("{", "00001.json is not a record: EOF .*; restore it from a backup"),
        ("[]", "00001.json is not a record: it holds a JSON list"),
        ('{"format_version": 2, "content_digest": "0"}', "00001.json was changed after"),
    ],
)
def test_ledger_refuses_what_it_does_not_know(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "00001.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read(str(tmp_path))


def test_ledger_reads_records_without_a_seal(tmp_path: Path) -> None:
    (tmp_path / "00001.json").write_text('{"format_version": 1, "a": 3}')
    assert [of["a"] for of in read(str(tmp_path))] == [3]
