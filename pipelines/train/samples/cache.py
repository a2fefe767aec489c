"""All samples of a data set in one local file, so that any order reads equally fast.

The file is built once from the shards and found again by the digest of the data set's manifest.
Each time it is opened, all of it is checked against the digests in the manifest, which takes a
processor less time than a disk needs to read it. A file that is damaged is built again. A link in
its place is not followed: others may write to the folder.
"""

import errno
import json
import logging
import os
import shutil
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast
from weakref import finalize

import numpy as np
import xxhash
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.commit.manifest import Manifest, Shard
from pipelines.dataset import Dataset
from pipelines.errors import ConfigError, DatasetError, ShardError
from pipelines.text import counted

SUFFIX: Final = ".f32"

# Shards read at once: from object storage they overlap, and decoding lets other threads run. Each
# holds a batch, 2 MB of samples, about three times, and of a remote shard the whole file.
READERS: Final = 8

_CHUNK_BYTES: Final = 2**20
_READ_BYTES: Final = 2**21
_SAMPLE_BYTES: Final = 4
_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

log = logging.getLogger(__name__)


class SampleFile:
    """The samples of a data set in an open file, read note by note when they are needed.

    It is not a memory map: where another process cuts the file short, the system ends a process
    that has it mapped (SIGBUS), while a read can raise an error.

    Args:
      file: holds the samples, float32, little-endian, from its first byte on; may be closed then.
      num_notes: notes in it.
      num_samples: samples per note.

    Attributes:
      shape: (num_notes, num_samples).
      nbytes: bytes of all samples.
      path: of the file, as it was opened.
    """

    def __init__(self, file: BinaryIO, num_notes: int, num_samples: int) -> None:
        self.shape = (num_notes, num_samples)
        self.nbytes = num_notes * num_samples * _SAMPLE_BYTES
        self._note_bytes = num_samples * _SAMPLE_BYTES
        self.path = file.name
        self._descriptor = os.dup(file.fileno())
        finalize(self, os.close, self._descriptor)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read some notes, float32 [len(rows), num_samples].

        Raises:
          IndexError: there is no such row.
          OSError: the file no longer holds them.
        """
        self._check(rows)
        samples = np.empty((len(rows), self.shape[1]), "<f4")
        for place, row in enumerate(rows.tolist()):
            self._read(samples[place : place + 1], row)
        return samples

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> NDArray[np.float32]:
        """Read all notes."""
        del copy
        samples = np.empty(self.shape, "<f4")
        num_notes = max(1, _READ_BYTES // self._note_bytes)
        for row in range(0, len(self), num_notes):
            self._read(samples[row : row + num_notes], row)
        return samples if dtype is None else samples.astype(dtype, copy=False)

    def prefetch(self, rows: NDArray[np.int64]) -> None:
        """Let the system read some notes from disk, without waiting for them.

        Raises:
          IndexError: there is no such row.
        """
        self._check(rows)
        if hasattr(os, "posix_fadvise"):
            size = self._note_bytes
            for row in rows.tolist():
                advice = os.POSIX_FADV_WILLNEED
                os.posix_fadvise(self._descriptor, row * size, size, advice)

    def _check(self, rows: NDArray[np.int64]) -> None:
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows must be from 0 to {len(self) - 1}, got {rows.tolist()}")

    def _read(self, samples: NDArray[np.float32], row: int) -> None:
        data, at = samples.data.cast("B"), row * self._note_bytes
        while data:
            num = os.preadv(self._descriptor, [data], at)
            if num == 0:
                raise OSError(
                    f"the audio cache {self.path} ends at byte {at} and had {self.nbytes} "
                    "when it was opened; another process has cut it short, which the next start "
                    "mends"
                )
            data, at = data[num:], at + num


def cached_audio(dataset: Dataset, cache_dir: Path) -> SampleFile:
    """Return the samples of all notes of a data set, in its order, from the local cache.

    Returns:
      float32 [num_notes, num_samples].

    Raises:
      ConfigError: the disk is full, or the folder cannot be written.
      DatasetError: the data set is empty, or is not what its manifest says.
    """
    num_notes = sum(shard.num_notes for shard in dataset.manifest.shards)
    if num_notes == 0:
        raise DatasetError(f"{dataset.manifest_uri} holds no notes; expected one at least")
    path = cache_dir / cache_name(dataset)
    with explain_disk_errors(path, num_notes * note_bytes(dataset.manifest)):
        if (stored := _open(path, dataset)) is not None:
            return stored
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path):
            # Another process may have built it meanwhile.
            if (stored := _open(path, dataset)) is not None:
                return stored
            return _build(path, dataset)


def note_bytes(manifest: Manifest) -> int:
    """Return the number of bytes that the samples of a note take."""
    return manifest.parameters.num_samples * _SAMPLE_BYTES


def cache_name(dataset: Dataset) -> str:
    """Return the name of a data set's cache.

    The platform that converted decides the last bits of samples, which the digest of the manifest
    leaves out.
    """
    manifest = dataset.manifest
    return f"{manifest.manifest_digest}.{manifest.samples_digest[:8]}{SUFFIX}"


@contextmanager
def explain_disk_errors(path: Path, needed: int) -> Iterator[None]:
    """Turn what the user can mend into one sentence.

    Args:
      needed: size of the file in bytes.

    Raises:
      ConfigError: the disk is full, or the folder cannot be written.
    """
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


def _open(path: Path, dataset: Dataset) -> SampleFile | None:
    """Return the cache if it is there and intact, else None."""
    try:
        # O_NONBLOCK, since opening a pipe would wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as err:
        if err.errno in (errno.ENOENT, errno.ELOOP):
            return None
        raise
    with cast(BinaryIO, open(path, "rb", opener=lambda *_: descriptor)) as file:
        begun, manifest = time.perf_counter(), dataset.manifest
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not all(
            _digest(descriptor, begin, end) == shard.samples_digest
            for shard, begin, end in _layout(manifest)
        ):
            return None
        log.info(
            "reusing the audio cache %s: %d notes, checked in %.1f s",
            *(path, manifest.num_notes, time.perf_counter() - begun),
        )
        return SampleFile(file, manifest.num_notes, dataset.num_samples)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process at a time build a cache; the lock of a killed process is free."""
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("waiting for another process, which writes %s", path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(path: Path, dataset: Dataset) -> SampleFile:
    """Build a cache beside its place, then give it its name."""
    begun, manifest = time.perf_counter(), dataset.manifest
    if os.path.lexists(path):
        log.warning("the audio cache %s is damaged; it is built again", path)
    log.info("building the audio cache %s from %s", path, counted(len(manifest.shards), "shard"))
    # For people, and for `nsynth clean`.
    note = {
        "manifest_uri": dataset.manifest_uri,
        "num_notes": manifest.num_notes,
        "num_samples": dataset.num_samples,
    }
    storage.put(str(path.with_suffix(".json")), (json.dumps(note, indent=1) + "\n").encode())
    part = path.with_name(f"{path.name}.part")
    # A killed build left it, or it is a link.
    part.unlink(missing_ok=True)
    with part.open("x+b") as file:
        try:
            _fill(file.fileno(), dataset)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        log.debug(
            "built the audio cache %s: %d notes in %.1f s",
            *(path, manifest.num_notes, time.perf_counter() - begun),
        )
        return SampleFile(file, manifest.num_notes, dataset.num_samples)


def _fill(descriptor: int, dataset: Dataset) -> None:
    """Write all shards into an open file, several at once.

    Raises:
      ShardError: a shard is missing, damaged, or not what the manifest says.
      OSError: reading or writing failed.
    """
    shards = list(_layout(dataset.manifest))
    needed = shards[-1].end if shards else 0
    statistics = os.fstatvfs(descriptor)
    if needed > statistics.f_bavail * statistics.f_frsize:
        raise OSError(errno.ENOSPC, f"{needed:,} bytes do not fit")
    os.ftruncate(descriptor, needed)
    pool = ThreadPoolExecutor(READERS)
    try:
        for _ in pool.map(lambda item: _copy(dataset, item, descriptor), shards):
            pass
    finally:
        # After a failure those that wait do not begin.
        pool.shutdown(cancel_futures=True)
    os.fsync(descriptor)


class _Place(NamedTuple):
    """The place of a shard's samples in the file: the first byte, and the byte after the last."""

    shard: Shard
    begin: int
    end: int


def _layout(manifest: Manifest) -> Iterator[_Place]:
    """Yield the place of each shard with notes, in their order."""
    begin = 0
    for shard in manifest.shards:
        if shard.num_notes:
            end = begin + shard.num_notes * note_bytes(manifest)
            yield _Place(shard, begin, end)
            begin = end


def _copy(dataset: Dataset, place: _Place, descriptor: int) -> None:
    """Write the samples of one shard; their digest replaces every other checksum."""
    try:
        _copy_once(dataset, place, descriptor, checksums=False)
    except ShardError:
        # A transfer may be at fault, which checksums have repeated, or a page, which they name.
        _copy_once(dataset, place, descriptor, checksums=True)


def _copy_once(dataset: Dataset, place: _Place, descriptor: int, *, checksums: bool) -> None:
    shard, at, end = place
    digest = xxhash.xxh3_128()
    for samples in dataset.shard_audio(shard, checksums=checksums):
        data = np.ascontiguousarray(samples, dtype="<f4").data.cast("B")
        if at + len(data) > end:
            break
        digest.update(data)
        while data:
            num = os.pwrite(descriptor, data, at)
            data, at = data[num:], at + num
    if at != end or digest.hexdigest() != shard.samples_digest:
        raise ShardError(
            f"the samples of {dataset.shard_uri(shard)} do not have the digest that "
            "the manifest lists; convert again with --force"
        )


def _digest(descriptor: int, begin: int, end: int) -> str:
    """Return the digest of bytes of an open file, of fewer where the file ends."""
    digest, at = xxhash.xxh3_128(), begin
    while at < end and (chunk := os.pread(descriptor, min(_CHUNK_BYTES, end - at), at)):
        digest.update(chunk)
        at += len(chunk)
    return digest.hexdigest()
