"""Every stored file of a small root, damaged in every way, and read by every command that reads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.records import SEAL
from tests.pipelines.damage.stored_root import find, runs, said, write_record

JSON_FILES: Final = (
    "notes/*/manifest.json",
    "notes/*/validation/*/summary.json",
    "runs/RUN/run.json",
    "runs/RUN/preliminary/training.json",
    "runs/RUN/preliminary/history.json",
    "runs/RUN/preliminary/metrics.json",
    "runs/RUN/preliminary/promotion.json",
    "runs/RUN/decisions.json",
    "runs/RUN/features.json",
    "runs/RUN/cost.json",
    "registry/preliminary/00001.json",
    "registry/gate/00001.json",
    "registry/gate/*/looks/00001.json",
)

TABLES: Final = (
    "notes/*/data/part-*.parquet",
    "notes/*/quarantine/part-*.parquet",
    "notes/*/quarantine/spans.parquet",
    "notes/*/validation/*/verdicts.parquet",
    "runs/RUN/preliminary/predictions.parquet",
    "runs/RUN/notes.parquet",
    "registry/gate/*/notes.parquet",
    "registry/gate/*/predictions/*.parquet",
)

Damage = Callable[[Path], Any]


def _without_a_key(path: Path) -> None:
    content = json.loads(path.read_text())
    keys = [key for key in content if key not in ("format_version", SEAL)]
    # Of a history all columns count; of a record the first key is one that readers need.
    for key in keys:
        del content[key]
    write_record(path, content)


def _with_other_types(path: Path) -> None:
    content = json.loads(path.read_text())
    kept = ("format_version", "analysis_version")
    write_record(path, {key: value if key in kept else {"a": []} for key, value in content.items()})


def _of_another_version(path: Path) -> None:
    content = json.loads(path.read_text())
    name = "analysis_version" if "analysis_version" in content else "format_version"
    write_record(path, content | {name: 99})


BYTES: Final[dict[str, Damage]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "NUL bytes": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "another file": lambda path: path.write_bytes(b"<!DOCTYPE html><html></html>"),
}
TEXTS: Final[dict[str, Damage]] = {
    "deep": lambda path: path.write_text("[" * 200_000 + "]" * 200_000),
    "deep inside": lambda path: path.write_text('{"format_version": ' * 99_999),
    "a list": lambda path: path.write_text("[]"),
    "an empty object": lambda path: path.write_text("{}"),
    "not UTF-8": lambda path: path.write_bytes(b'{"format_version": "\xff\xfe"}'),
    "a number too large": lambda path: path.write_text(f'{{"format_version": {"9" * 5000}}}'),
    "another version": _of_another_version,
    "without keys": _without_a_key,
    "other types": _with_other_types,
}


def _without_a_column(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.drop_columns([table.column_names[0]]), path)


def _with_another_type(path: Path) -> None:
    table = pq.read_table(path)
    column = pa.array([b"x"] * table.num_rows)
    pq.write_table(table.set_column(0, table.column_names[0], column), path)


def _without_a_row(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 0), path)


COLUMNS: Final[dict[str, Damage]] = {
    "without a column": _without_a_column,
    "another type": _with_another_type,
    "without rows": _without_a_row,
}

READ_BY_ALL: Final = ("other types", "without a column")
"""Damages after which the slower commands are asked too."""

# What depends on the record or table; all else is refused by the one reader of either, and rotates
# over the files.
OWN: Final = ("cut", "another version", "without keys", "other types", *COLUMNS)

CASES: Final = [
    *(
        (file, name, damage)
        for number, file in enumerate(JSON_FILES)
        for place, (name, damage) in enumerate((BYTES | TEXTS).items())
        if name in OWN or (number + place) % 6 == 0
    ),
    *(
        (file, name, damage)
        for number, file in enumerate(TABLES)
        for place, (name, damage) in enumerate((BYTES | COLUMNS).items())
        if name in OWN or (number + place) % 3 == 0
    ),
    *(("runs/RUN/preliminary/model.keras", name, damage) for name, damage in BYTES.items()),
]


@pytest.mark.parametrize(
    ("file", "name", "damage"), CASES, ids=[f"{file}-{name}" for file, name, _ in CASES]
)
def test_a_damaged_file_is_one_sentence_and_stops_no_other(
    root: Path, file: str, name: str, damage: Damage
) -> None:
    path, other = find(root, file), runs(root)[1].name
    if name == "without rows" and not pq.read_table(path).num_rows:
        pytest.skip("it has no rows")
    damage(path)
    code, text = said("list", str(root), "--json")
    assert code == 0
    assert other in text
    code, text = said("verify", str(root), "--json")
    assert code == 1
    problems = json.loads(text)["problems"]
    assert any(path.name in problem for problem in problems), problems
    code, text = said("clean", str(root), "--dry-run")
    assert code == 0, text
    if file.startswith("notes"):
        said("quarantine", str(root))
        said("validate", str(path.parents[len(path.relative_to(root).parts) - 3] / "manifest.json"))
        return
    code, text = said("index", "--root", str(root))
    assert code == 0, text
    assert other in (root / "index.html").read_text()
    if file.startswith("runs") and name in READ_BY_ALL:
        run = runs(root)[0].name if path.name != "run.json" else path.parent.name
        for command in (("evaluate", run), ("compare", other, run), ("report", run)):
            code, text = said(*command, "--root", str(root))
            assert code == 0 or path.name in text, text


def test_verify_finds_nothing_wrong_with_an_intact_root(root: Path) -> None:
    code, text = said("verify", str(root), "--json")
    result = json.loads(text)
    assert (code, result["problems"]) == (0, [])
    assert (result["num_datasets"], result["num_runs"]) == (2, 2)
    # A champion, a gate and a look.
    assert result["num_registry_records"] == 3


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("notes/*/manifest.json", (1, 0, 0)),
        ("notes/*", (1, 0, 0)),
        ("runs/RUN/run.json", (0, 1, 0)),
        ("runs/RUN", (0, 1, 0)),
    ],
)
def test_verify_takes_a_part_of_a_root(
    root: Path, pattern: str, expected: tuple[int, int, int]
) -> None:
    code, text = said("verify", str(find(root, pattern)), "--json")
    result = json.loads(text)
    assert (code, result["problems"]) == (0, [])
    counts = ("num_datasets", "num_runs", "num_registry_records")
    assert tuple(result[name] for name in counts) == expected


def test_verify_names_a_place_that_holds_nothing(tmp_path: Path) -> None:
    code, text = said("verify", str(tmp_path))
    assert code == 1
    assert "there is no committed data set and no run in" in text


def test_verify_of_a_root_goes_on_after_a_manifest_that_cannot_be_read(root: Path) -> None:
    path = find(root, "notes/*/manifest.json")
    path.write_bytes(b"")
    code, text = said("verify", str(root), "--json")
    result = json.loads(text)
    assert (code, result["num_datasets"]) == (1, 2)
    assert any(f"{path} is not a manifest: it is empty" in of for of in result["problems"])
    assert len({row["manifest"] for row in result["sources"]}) == 1


def test_compare_names_a_run_that_cannot_be_read_and_compares_the_others(
    root: Path, tmp_path: Path
) -> None:
    whole, damaged = (run.name for run in reversed(runs(root)))
    find(root, "runs/RUN/preliminary/predictions.parquet").write_bytes(b"")
    page = tmp_path / "compared.html"
    command = ("compare", whole, whole, damaged, "--root", str(root), "--output", str(page))
    code, text = said(*command, "--json")
    pairs = json.loads(text)["pairs"]
    assert (code, [pair["second"] for pair in pairs]) == (1, [whole, damaged])
    assert "preliminary" in pairs[0]["comparisons"]
    assert "predictions.parquet is damaged" in pairs[1]["note"]
    assert damaged not in page.read_text()
    assert f"{damaged} is not subtracted: " in said(*command)[1]
