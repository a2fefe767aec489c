from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.convert.commit.quarantine import stream_quarantined, verify
from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from tests.pipelines.convert.records import flipped, note, tfrecord

QUARTER = 256_400


@pytest.fixture(scope="module")
def _original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set of damaged bytes and a record that is no note, converted."""
    folder = tmp_path_factory.mktemp("verify")
    data = tfrecord(note(0), b"no example", note(1), note(2), note(3))
    source = folder / "notes.tfrecord"
    source.write_bytes(flipped(data, len(data) - 100_000))
    convert(
        [str(source)],
        root=str(folder),
        parameters=Parameters(range_bytes=2 * QUARTER),
        num_workers=1,
        max_quarantined=1,
    )
    return folder


@pytest.fixture
def dataset(_original: Path, tmp_path: Path) -> Path:
    """A copy of that data set, to be damaged."""
    (folder,) = (_original / "notes").iterdir()
    copy = tmp_path / folder.name
    for path in folder.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return copy


def manifest(dataset: Path) -> str:
    return str(dataset / "manifest.json")


def shards(dataset: Path) -> list[Path]:
    return sorted(dataset.glob("data/part-*.parquet"))


def test_verify_accounts_for_every_byte(dataset: Path) -> None:
    found = verify(manifest(dataset))
    (account,) = found.accounts.values()
    assert found.problems == ()
    assert account.record_bytes + account.skipped_bytes == account.size
    assert account.skipped_bytes == found.manifest.skipped_bytes > 0


def delete(path: Path) -> None:
    path.unlink()


def flip(path: Path) -> None:
    path.write_bytes(flipped(path.read_bytes(), path.stat().st_size // 2))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [delete, flip, empty])
def test_verify_names_each_damaged_shard(dataset: Path, damage: Callable[[Path], None]) -> None:
    damaged = shards(dataset)[1]
    damage(damaged)
    problems = verify(manifest(dataset)).problems
    assert any(damaged.name in problem for problem in problems)


def test_verify_notices_a_shard_in_the_place_of_another(dataset: Path) -> None:
    first, second = shards(dataset)[:2]
    second.write_bytes(first.read_bytes())
    assert any(first.name in problem for problem in verify(manifest(dataset)).problems)


@pytest.mark.parametrize("damage", [delete, flip])
def test_verify_reads_the_quarantine_too(dataset: Path, damage: Callable[[Path], None]) -> None:
    for path in (dataset / "quarantine").iterdir():
        damage(path)
    assert len(verify(manifest(dataset)).problems) == 2


def test_stream_quarantined_says_where_and_why(dataset: Path) -> None:
    rows = list(stream_quarantined(str(dataset)))
    assert [row["reason"] for row in rows] == ["unparsable", "payload_crc"]
    assert [row["offset"] for row in rows] == sorted(row["offset"] for row in rows)
    assert all(len(row["sha256"]) == 64 for row in rows)
