"""All samples of a data set in one local file, so that any order reads alike.

The file is built once from the shards, and found again by the digest of the data set's manifest.
Every time it is opened all of it is held against the digests in the manifest, which a disk takes
longer to read than a processor to check; what is wrong is read again from its shard. A link in the
place of the file is not followed: others may write to the folder, and what it points to is not
ours.
"""

import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipelines import storage
from pipelines.dataset import Dataset
from pipelines.errors import ConfigError, DatasetError
from pipelines.train.blocks import NOTE_BYTES, Block, SampleFile, damaged, fill, layout
from pipelines.train.lock import locked, open_own

SUFFIX: Final = ".f32"
PART_SUFFIX: Final = ".part"
"""Of a file that is not complete yet; its next build goes on from there."""

_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

log = logging.getLogger(__name__)


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
