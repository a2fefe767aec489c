import errno
import os
from pathlib import Path

import numpy as np
import pytest

from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import ShardError
from pipelines.train.samples.cache import NOTE_BYTES, damaged, fill, layout
from tests.pipelines.datasets import row, samples, store


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rows = [row(number) for number in range(5)]
    return open_dataset(store(tmp_path / "notes", rows, notes_per_shard=2))


def test_layout_leaves_no_gap(dataset: Dataset) -> None:
    assert [(block.begin, block.num_bytes) for block in layout(dataset.manifest)] == [
        (0, 2 * NOTE_BYTES),
        (2 * NOTE_BYTES, 2 * NOTE_BYTES),
        (4 * NOTE_BYTES, NOTE_BYTES),
    ]


def test_fill_writes_what_damaged_then_finds_whole(dataset: Dataset, tmp_path: Path) -> None:
    blocks = layout(dataset.manifest)
    with (tmp_path / "file").open("w+b") as file:
        assert damaged(file.fileno(), blocks) == blocks
        fill(file.fileno(), blocks[1:], dataset)
        assert damaged(file.fileno(), blocks) == blocks[:1]
        fill(file.fileno(), blocks[:1], dataset)
        assert damaged(file.fileno(), blocks) == []
    found = np.fromfile(tmp_path / "file", "<f4").reshape(5, -1)
    np.testing.assert_array_equal(found, samples(5))


@pytest.mark.parametrize("byte", [0, 3 * NOTE_BYTES, 5 * NOTE_BYTES - 1])
def test_damaged_finds_a_single_bit(dataset: Dataset, tmp_path: Path, byte: int) -> None:
    blocks = layout(dataset.manifest)
    with (tmp_path / "file").open("w+b") as file:
        fill(file.fileno(), blocks, dataset)
        [stored] = os.pread(file.fileno(), 1, byte)
        os.pwrite(file.fileno(), bytes([stored ^ 1]), byte)
        assert damaged(file.fileno(), blocks) == [blocks[byte // (2 * NOTE_BYTES)]]


def test_fill_names_a_missing_shard(dataset: Dataset, tmp_path: Path) -> None:
    blocks = layout(dataset.manifest)
    Path(dataset.shard_uri(blocks[1].shard)).unlink()
    with (
        (tmp_path / "file").open("w+b") as file,
        pytest.raises(ShardError, match=rf"{blocks[1].shard.name} is missing"),
    ):
        fill(file.fileno(), blocks, dataset)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_fill_leaves_a_full_disk_to_its_caller(dataset: Dataset) -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OSError, match="No space left") as failed,
    ):
        fill(full.fileno(), layout(dataset.manifest), dataset)
    assert failed.value.errno == errno.ENOSPC
