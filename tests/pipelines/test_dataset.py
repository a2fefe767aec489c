import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.convert.commit.quarantine import stream_quarantined, verify
from pipelines.convert.shards.shard import add_summary, read_summary
from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import ConfigError, DatasetError, ShardError
from pipelines.note_schema import SCALAR_COLUMNS, SCHEMA
from pipelines.parquet import encode
from tests.pipelines.convert.records import flipped
from tests.pipelines.datasets import row, samples, store

NUM_NOTES = 600


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Six hundred notes in shards of more and of less than one row group."""
    folder = tmp_path_factory.mktemp("notes") / "id"
    return store(folder, [row(number) for number in range(NUM_NOTES)], notes_per_shard=450)


@pytest.fixture
def spoilt(stored: str, tmp_path: Path) -> Path:
    """The manifest of a copy that a test may spoil."""
    return Path(shutil.copytree(Path(stored).parent, tmp_path / "copy")) / "manifest.json"


def second_shard(manifest: Path) -> Path:
    return sorted(manifest.parent.glob("data/part-*"))[1]


def test_read_gives_all_notes_in_order(stored: str) -> None:
    dataset = open_dataset(stored)
    assert dataset.manifest.num_notes == NUM_NOTES
    table = dataset.read(SCALAR_COLUMNS)
    assert table.column("note").to_pylist() == list(range(NUM_NOTES))
    assert table.schema == SCHEMA.empty_table().drop_columns("audio").schema
    found, expected = table.slice(461, 1).to_pylist()[0], row(461)
    assert found.pop("peak") == pytest.approx(expected.pop("peak"))
    assert found.pop("rms") == pytest.approx(expected.pop("rms"))
    assert found == expected


@pytest.mark.parametrize("columns", [["pitch", "note_str"], ["note"], ["qualities_str", "note"]])
def test_read_gives_the_columns_as_asked(stored: str, columns: list[str]) -> None:
    table = open_dataset(stored).read(columns)
    assert table.column_names == columns
    assert table.slice(5, 1).to_pylist() == [{name: row(5)[name] for name in columns}]


def test_take_opens_only_the_shards_that_hold_the_notes(spoilt: Path) -> None:
    second_shard(spoilt).unlink()
    dataset = open_dataset(str(spoilt))
    found = dataset.take(["note", "pitch"], [3, 449])
    assert found.column_names == ["note", "pitch"]
    assert found.column("note").to_pylist() == [3, 449]
    with pytest.raises(ShardError, match="is missing"):
        dataset.take(["note"], [3, 450])


def test_iter_audio_gives_all_notes_in_order(stored: str) -> None:
    blocks = list(open_dataset(stored).iter_audio())
    assert max(len(block) for block in blocks) == 64
    assert all(str(block.dtype) == "float32" for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), samples(NUM_NOTES))


@pytest.mark.parametrize("rows", [[], [0], [599, 0, 300, 255, 256, 449, 450], [7, 7, 460, 7]])
def test_audio_gives_rows_as_asked(stored: str, rows: list[int]) -> None:
    found = open_dataset(stored).audio(rows)
    np.testing.assert_array_equal(found, samples(NUM_NOTES)[np.array(rows, np.int64)])


@pytest.mark.parametrize("rows", [[600], [3, -1]])
def test_audio_refuses_rows_that_are_none(stored: str, rows: list[int]) -> None:
    with pytest.raises(IndexError, match=r"rows must be from 0 to 599, got (600|-1)$"):
        open_dataset(stored).audio(rows)


READERS: list[Callable[[Dataset], object]] = [
    lambda dataset: dataset.read(["note"]),
    lambda dataset: list(dataset.iter_audio()),
    lambda dataset: dataset.audio([500]),
]


@pytest.mark.parametrize("read", READERS, ids=["read", "iter_audio", "audio"])
def test_reading_a_missing_shard_is_one_sentence(
    spoilt: Path, read: Callable[[Dataset], object]
) -> None:
    second_shard(spoilt).unlink()
    with pytest.raises(ShardError, match=r"part-\S+ is missing, which the manifest lists; convert"):
        read(open_dataset(str(spoilt)))


@pytest.mark.parametrize("read", READERS, ids=["read", "iter_audio", "audio"])
def test_reading_a_shard_cut_short_is_one_sentence(
    spoilt: Path, read: Callable[[Dataset], object]
) -> None:
    shard = second_shard(spoilt)
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(ShardError, match=r"part-\S+ is damaged: .*; convert again with --force"):
        read(open_dataset(str(spoilt)))


@pytest.mark.parametrize(
    ("read", "column"), [(READERS[0], "note"), (READERS[1], "audio"), (READERS[2], "audio")]
)
def test_reading_a_damaged_page_is_one_sentence(
    spoilt: Path, read: Callable[[Dataset], object], column: str
) -> None:
    shard = second_shard(spoilt)
    group = pq.read_metadata(shard).row_group(0)
    chunk = next(
        group.column(i)
        for i in range(group.num_columns)
        if group.column(i).path_in_schema.partition(".")[0] == column
    )
    end = (chunk.dictionary_page_offset or chunk.data_page_offset) + chunk.total_compressed_size
    shard.write_bytes(flipped(shard.read_bytes(), end - 1))
    with pytest.raises(ShardError, match=r"part-\S+ is damaged: .*; convert again with --force"):
        read(open_dataset(str(spoilt)))


def test_reading_another_conversions_shard_is_one_sentence(spoilt: Path, tmp_path: Path) -> None:
    other = store(tmp_path / "other", [row(n) for n in range(1, 601)], notes_per_shard=450)
    shutil.copy(second_shard(Path(other)), second_shard(spoilt))
    with pytest.raises(ShardError, match=r"part-\S+ is not the shard that was committed; convert"):
        open_dataset(str(spoilt)).read(["note"])


def test_open_dataset_needs_a_manifest(spoilt: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*nothing\.json; check the path"):
        open_dataset(str(spoilt.with_name("nothing.json")))
    with pytest.raises(DatasetError, match=r"\.parquet is not a manifest: .*; name the"):
        open_dataset(str(second_shard(spoilt)))


def test_open_dataset_does_not_depend_on_the_folder(
    stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(stored).parent)
    dataset = open_dataset("manifest.json")
    monkeypatch.chdir(tmp_path)
    assert dataset.read(["note"]).num_rows == NUM_NOTES


def test_reading_a_shard_of_another_version_is_one_sentence(spoilt: Path) -> None:
    shard = second_shard(spoilt)
    summary = dataclasses.replace(read_summary(str(shard)), format_version=2)
    shard.write_bytes(encode(add_summary(pq.read_table(shard), summary)))
    with pytest.raises(ShardError, match="has shard format 2, this version reads 1; convert again"):
        open_dataset(str(spoilt)).read(["note"])


def test_data_set_of_version_1_has_its_shards_beside_the_manifest() -> None:
    manifest = Path(__file__).parent / "convert" / "golden" / "version-1" / "manifest.json"
    dataset = open_dataset(str(manifest))
    assert dataset.read(["note_str"]).num_rows == dataset.manifest.num_notes == 4
    assert sum(len(audio) for audio in dataset.iter_audio()) == 4
    assert verify(str(manifest)).problems == ()
    assert len(list(stream_quarantined(str(manifest.parent)))) == 1
