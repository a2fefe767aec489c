from pathlib import Path

import pytest

from pipelines.errors import DatasetError
from pipelines.registry.ledger import add_record, read_ledger


def add(folder: str, number: int, **content: int) -> bool:
    return add_record(folder, number, content, format_version=1)


def test_ledger_gives_back_what_was_added_in_order(root: str) -> None:
    assert read_ledger(f"{root}/log", format_version=1) == []
    assert all(add(f"{root}/log", number, a=number) for number in range(1, 12))
    assert [of["a"] for of in read_ledger(f"{root}/log", format_version=1)] == list(range(1, 12))


def test_ledger_never_changes_a_record(root: str) -> None:
    assert add(f"{root}/log", 1, a=1)
    assert not add(f"{root}/log", 1, a=2)
    assert not add(f"{root}/log", 1, a=1)
    assert [of["a"] for of in read_ledger(f"{root}/log", format_version=1)] == [1]


def test_ledger_says_which_record_is_missing(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        add(str(tmp_path), number, a=number)
    (tmp_path / "00002.json").unlink()
    with pytest.raises(DatasetError, match=r"00002\.json is missing; restore it"):
        read_ledger(str(tmp_path), format_version=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format_version": 2}', "expected format_version 1 in .*00001.json, found 2; use the ve"),
        ("{", "00001.json is damaged"),
        ("[]", "00001.json is damaged"),
    ],
)
def test_ledger_refuses_what_it_does_not_know(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "00001.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_ledger(str(tmp_path), format_version=1)
