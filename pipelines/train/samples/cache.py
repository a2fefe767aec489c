"""The samples of a data set as one run of bytes, a block a shard, each with the shard's own digest.

A manifest gives the digest of each shard's samples, which are the block's bytes: so a file is
checked, mended and completed by its content alone, whoever wrote it and wherever it was broken off.
"""

import errno
import fcntl
import json
import logging
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from weakref import finalize

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.commit.manifest import Manifest, Shard
from pipelines.dataset import Dataset
from pipelines.errors import ConfigError, DatasetError, ShardError
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


_MODES: Final = {os.O_RDONLY: "rb", os.O_RDWR: "r+b"}

log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The descriptor of the file of this name, made where there is none, for this process alone.

    Who holds it may rename or remove the file: who waits then looks for the name again.
    """
    while True:
        with open_own(path, os.O_RDWR | os.O_CREAT) as file:
            _wait(file.fileno(), path)
            if _is_named(file.fileno(), path):
                yield file.fileno()
                return


def open_own(path: Path, flags: int) -> BinaryIO:
    """Open a file, unless its name leads to another one: then the name is removed first.

    That is a symbolic link, a pipe and the like; and, to be written, a file that has more names.

    Args:
      flags: os.O_RDONLY, or os.O_RDWR with or without os.O_CREAT.

    Raises:
      FileNotFoundError: there is no such file, or none of our own, and it is not to be made.
    """
    while True:
        try:
            # Without O_NONBLOCK a pipe is waited for.
            descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as err:
            if err.errno not in (errno.ELOOP, errno.ENXIO):
                raise
        else:
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                os.close(descriptor)
                raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
            is_shared = found.st_nlink > 1 and flags & os.O_RDWR
            if stat.S_ISREG(found.st_mode) and not is_shared:
                return _opened(path, descriptor, _MODES[flags & os.O_RDWR])
            os.close(descriptor)
        log.warning("removing %s, which is a link or no file; a file takes its place", path)
        path.unlink(missing_ok=True)


def _opened(path: Path, descriptor: int, mode: str) -> BinaryIO:
    """Return a file object of an open descriptor that knows its name."""
    return cast(BinaryIO, open(path, mode, opener=lambda *_: descriptor))


def _wait(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("waiting for another process, which writes %s", path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


SUFFIX: Final = ".f32"
PART_SUFFIX: Final = ".part"
"""Of a file that is not complete yet; its next build goes on from there."""

_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def cached_audio(dataset: Dataset, cache_dir: Path) -> SampleFile:
    """Return the samples of all notes of a data set, in its order, from the local cache.

    Returns:
      float32 [num_notes, 8000].

    Raises:
      ConfigError: the disk is full, or the folder cannot be written.
      DatasetError: the data set is empty, or is not what its manifest says.
    """
    blocks = layout(dataset.manifest)
    num_notes = sum(block.shard.num_notes for block in blocks)
    if num_notes == 0:
        raise DatasetError(f"{dataset.manifest_uri} holds no notes; expected one at least")
    path = cache_dir / cache_name(dataset)
    with _explained(path, num_bytes(blocks)):
        if (found := _found(path, dataset, blocks)) is not None:
            return found
        _build(path, dataset, blocks)
        with open_own(path, os.O_RDONLY) as file:
            return SampleFile(file, num_notes)


def cache_name(dataset: Dataset) -> str:
    """The name of a data set's cache.

    The platform that converted decides on the last bits of samples, which the digest of the
    manifest leaves out.
    """
    manifest = dataset.manifest
    return f"{manifest.manifest_digest}.{manifest.samples_digest[:8]}{SUFFIX}"


def num_bytes(blocks: list[Block]) -> int:
    """Size of the whole file."""
    return blocks[-1].begin + blocks[-1].num_bytes


def _found(path: Path, dataset: Dataset, blocks: list[Block]) -> SampleFile | None:
    """Return the cache that is there, checked and mended; None where there is none of our own."""
    try:
        with open_own(path, os.O_RDONLY) as file:
            _check(file.fileno(), path, dataset, blocks)
            return SampleFile(file, num_bytes(blocks) // NOTE_BYTES)
    except FileNotFoundError:
        return None


def _check(descriptor: int, path: Path, dataset: Dataset, blocks: list[Block]) -> None:
    """Makes sure that a cache is what the manifest says, mending it in place."""
    begun = time.perf_counter()
    wrong = damaged(descriptor, blocks)
    if wrong:
        log.warning(
            "%d of %d shards are damaged in the audio cache %s; reading them again",
            *(len(wrong), len(blocks), path),
        )
        # Whoever reads it meanwhile sees either damage or what belongs there.
        with open_own(path, os.O_RDWR) as file:
            _complete(file.fileno(), dataset, blocks, wrong)
    log.info(
        "reusing the audio cache %s: %d notes, checked in %.1f s",
        *(path, dataset.manifest.num_notes, time.perf_counter() - begun),
    )


def _build(path: Path, dataset: Dataset, blocks: list[Block]) -> None:
    """Builds a cache, or goes on where a killed process stopped; of several processes one does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + PART_SUFFIX)
    with locked(part) as descriptor:
        if path.is_file() and not path.is_symlink():
            # Another process was faster. Its file had the name that this one has taken since.
            part.unlink()
            return
        begun = time.perf_counter()
        missing = damaged(descriptor, blocks) if os.fstat(descriptor).st_size else blocks
        if len(missing) == len(blocks):
            log.info("building the audio cache %s from %d shards", path, len(blocks))
        else:
            log.info(
                "going on with the audio cache %s: %d of %d shards are there, %d are missing",
                *(path, len(blocks) - len(missing), len(blocks), len(missing)),
            )
        _leave_note(path, dataset)
        try:
            _complete(descriptor, dataset, blocks, missing)
        except OSError as err:
            if err.errno in _DISK_FULL:
                part.unlink()
            raise
        part.replace(path)
        log.info(
            "built the audio cache %s: %d notes in %.1f s",
            *(path, dataset.manifest.num_notes, time.perf_counter() - begun),
        )


def _complete(descriptor: int, dataset: Dataset, blocks: list[Block], missing: list[Block]) -> None:
    """Brings an open file to its size, and the missing blocks into it."""
    stored, needed = os.fstat(descriptor), num_bytes(blocks)
    statistics = os.fstatvfs(descriptor)
    if needed - stored.st_blocks * 512 > statistics.f_bavail * statistics.f_frsize:
        raise OSError(errno.ENOSPC, f"{needed:,} bytes do not fit")
    os.ftruncate(descriptor, needed)
    fill(descriptor, missing, dataset)
    os.fsync(descriptor)


def _leave_note(path: Path, dataset: Dataset) -> None:
    """Says beside the cache what it is made from, for people and for `nsynth clean`."""
    note = {"manifest_uri": dataset.manifest_uri, "num_notes": dataset.manifest.num_notes}
    storage.put(str(path.with_suffix(".json")), (json.dumps(note, indent=1) + "\n").encode())


@contextmanager
def _explained(path: Path, needed: int) -> Iterator[None]:
    """Turns what the user can mend into one sentence."""
    folder, elsewhere = path.parent, "name a folder on another disk with NSYNTH_CACHE"
    try:
        yield
    except (PermissionError, FileExistsError, IsADirectoryError, NotADirectoryError) as err:
        raise ConfigError(
            f"cannot write the audio cache to {folder}: {err.strerror}; {elsewhere}"
        ) from err
    except OSError as err:
        if err.errno not in _DISK_FULL:
            raise
        free = shutil.disk_usage(folder).free
        raise ConfigError(
            f"the audio cache needs {needed / 1e9:.3g} GB in {folder}, where {free / 1e9:.3g} GB "
            f"are free: {os.strerror(err.errno)}; free some, or {elsewhere}"
        ) from err
