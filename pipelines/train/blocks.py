"""The samples of a data set as one run of bytes, a block a shard, each with the shard's own digest.

A manifest gives the digest of each shard's samples, which are the block's bytes: so a file is
checked, mended and completed by its content alone, whoever wrote it and wherever it was broken off.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO, Final
from weakref import finalize

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines.convert.manifest import Manifest, Shard
from pipelines.dataset import Dataset
from pipelines.errors import ShardError
from pipelines.notes import NUM_SAMPLES

NOTE_BYTES: Final = NUM_SAMPLES * 4

READERS: Final = 8
"""Shards read at once: from object storage they overlap, and decoding lets other threads run. Each
holds a batch, 2 MB of samples, about three times, and of a remote shard the whole file."""

_CHUNK_BYTES: Final = 2**20
_READ_NOTES: Final = 64


@dataclass(frozen=True)
class Block:
    """Where the samples of a shard stand in the file; float32, little-endian, a note after another.

    Attributes:
      begin: first byte.
    """

    shard: Shard
    begin: int

    @property
    def num_bytes(self) -> int:
        """Bytes of the block."""
        return self.shard.num_notes * NOTE_BYTES


class SampleFile:
    """The samples of a data set in an open file, read note by note where they are asked for.

    It is not a memory map: where another process cuts the file short, the system ends a process
    that has it mapped (SIGBUS), while a read can say so.

    Args:
      file: holds the samples, float32, little-endian, from its first byte on; may be closed then.
      num_notes: notes in it.

    Attributes:
      shape: (num_notes, 8000).
      nbytes: bytes of all samples.
      path: of the file, as it was opened.
    """

    def __init__(self, file: BinaryIO, num_notes: int) -> None:
        self.shape = (num_notes, NUM_SAMPLES)
        self.nbytes = num_notes * NOTE_BYTES
        self.path = file.name
        self._descriptor = os.dup(file.fileno())
        finalize(self, os.close, self._descriptor)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read some notes, float32 [len(rows), 8000].

        Raises:
          IndexError: there is no such row.
          OSError: the file does not hold them any more.
        """
        self._check(rows)
        samples = np.empty((len(rows), NUM_SAMPLES), "<f4")
        for place, row in enumerate(rows.tolist()):
            self._read(samples[place : place + 1], row)
        return samples

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[np.float32]:
        """Read all notes."""
        del copy
        samples = np.empty(self.shape, "<f4")
        for row in range(0, len(self), _READ_NOTES):
            self._read(samples[row : row + _READ_NOTES], row)
        return samples if dtype is None else samples.astype(dtype, copy=False)

    def announce(self, rows: NDArray[np.int64]) -> None:
        """Have the system read some notes from disk, and do not wait for them.

        Raises:
          IndexError: there is no such row.
        """
        self._check(rows)
        if hasattr(os, "posix_fadvise"):
            for row in rows.tolist():
                advice = os.POSIX_FADV_WILLNEED
                os.posix_fadvise(self._descriptor, row * NOTE_BYTES, NOTE_BYTES, advice)

    def _check(self, rows: NDArray[np.int64]) -> None:
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows must be from 0 to {len(self) - 1}, got {rows.tolist()}")

    def _read(self, samples: NDArray[np.float32], row: int) -> None:
        data, at = samples.data.cast("B"), row * NOTE_BYTES
        while data:
            num = os.preadv(self._descriptor, [data], at)
            if num == 0:
                raise OSError(
                    f"the audio cache {self.path} ends at byte {at} and had {self.nbytes} "
                    "when it was opened; another process has cut it short, which the next start "
                    "mends"
                )
            data, at = data[num:], at + num


def layout(manifest: Manifest) -> list[Block]:
    """The blocks of a data set, without gaps and in its order; a shard without notes has none."""
    blocks, begin = list[Block](), 0
    for shard in manifest.shards:
        if shard.num_notes:
            blocks.append(Block(shard, begin))
            begin += blocks[-1].num_bytes
    return blocks


def damaged(descriptor: int, blocks: Sequence[Block]) -> list[Block]:
    """The blocks of an open file that are not what the manifest says, absent ones among them."""
    # One after the other: a digest is ten times as fast as a disk, and disks read best in order.
    return [block for block in blocks if _digest(descriptor, block) != block.shard.samples_digest]


def fill(descriptor: int, blocks: Sequence[Block], dataset: Dataset) -> None:
    """Writes blocks into an open file from their shards, several at once.

    Raises:
      ShardError: a shard is missing, damaged, or not what the manifest says.
      OSError: reading or writing failed; what is written stays.
    """
    pool = ThreadPoolExecutor(READERS)
    try:
        for _ in pool.map(lambda block: _copy(dataset, block, descriptor), blocks):
            pass
    finally:
        # After a failure those that wait are not begun.
        pool.shutdown(cancel_futures=True)


def _copy(dataset: Dataset, block: Block, descriptor: int) -> None:
    """Writes one block; the digest of its samples stands in for every other checksum."""
    try:
        _copy_once(dataset, block, descriptor, checksums=False)
    except ShardError:
        # A transfer may be at fault, which checksums have repeated, or a page, which they name.
        _copy_once(dataset, block, descriptor, checksums=True)


def _copy_once(dataset: Dataset, block: Block, descriptor: int, *, checksums: bool) -> None:
    """Writes one block, a batch at a time."""
    digest, at, end = xxhash.xxh3_128(), block.begin, block.begin + block.num_bytes
    for samples in dataset.shard_audio(block.shard, checksums=checksums):
        data = np.ascontiguousarray(samples, dtype="<f4").data.cast("B")
        if at + len(data) > end:
            break
        digest.update(data)
        _write(descriptor, data, at)
        at += len(data)
    if at != end or digest.hexdigest() != block.shard.samples_digest:
        raise ShardError(
            f"the samples of {dataset.shard_uri(block.shard)} do not have the digest that "
            "the manifest lists; convert again with --force"
        )


def _write(descriptor: int, data: memoryview, at: int) -> None:
    while data:
        num = os.pwrite(descriptor, data, at)
        data, at = data[num:], at + num


def _digest(descriptor: int, block: Block) -> str:
    digest, at, end = xxhash.xxh3_128(), block.begin, block.begin + block.num_bytes
    while at < end and (chunk := os.pread(descriptor, min(_CHUNK_BYTES, end - at), at)):
        digest.update(chunk)
        at += len(chunk)
    return digest.hexdigest()
