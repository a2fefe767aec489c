"""All samples of a data set in one local file, memory-mapped, so that any order reads alike.

The file is built once from the shards and found again by the data set's manifest digest. Its
sidecar, written last, says that it is whole.
"""

import errno
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines.dataset import Dataset
from pipelines.errors import ConfigError, DatasetError
from pipelines.notes import NUM_SAMPLES

FORMAT_VERSION: Final = 1
NOTE_BYTES: Final = NUM_SAMPLES * 4

_CHUNK_BYTES: Final = 2**24
_ABANDONED_SEC: Final = 3600.0
"""A file that a build writes changes all the time; unchanged for so long, its build is dead."""

log = logging.getLogger(__name__)


def cached_audio(dataset: Dataset, cache_dir: Path) -> NDArray[np.float32]:
    """The samples of all notes of a data set, in its order, from the local cache.

    Returns:
      A read-only memory map, float32 [num_notes, 8000].

    Raises:
      ConfigError: the disk is full, or the folder cannot be written.
      DatasetError: the data set is empty, or is not what its manifest says.
    """
    num_notes, digest = dataset.manifest.num_notes, dataset.manifest.manifest_digest
    if num_notes == 0:
        raise DatasetError(f"{dataset.manifest_uri} holds no notes; expected one at least")
    path = cache_dir / f"{digest}.f32"
    expected = {
        "format_version": FORMAT_VERSION,
        "manifest_digest": digest,
        "num_notes": num_notes,
        "num_samples": NUM_SAMPLES,
    }
    if _is_whole(path, expected):
        log.info("reusing the audio cache %s (%d notes)", path, num_notes)
    else:
        log.info("building the audio cache %s (%d notes) from the shards", path, num_notes)
        with _disk_full_explained(cache_dir, num_notes):
            _build(dataset, path, expected)
    return np.memmap(path, dtype="<f4", mode="r", shape=(num_notes, NUM_SAMPLES))


def _is_whole(path: Path, expected: dict[str, Any]) -> bool:
    """Whether the file is there, of the right length, and its sidecar says what is expected."""
    try:
        found = json.loads(_sidecar(path).read_bytes())
        size = path.stat().st_size
    except (FileNotFoundError, ValueError):
        return False
    whole: bool = size == expected["num_notes"] * NOTE_BYTES and expected.items() <= found.items()
    return whole


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def _build(dataset: Dataset, path: Path, expected: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    if (needed := expected["num_notes"] * NOTE_BYTES) > shutil.disk_usage(path.parent).free:
        raise OSError(errno.ENOSPC, f"{needed:,} bytes do not fit")
    with _temporary_beside(path) as temporary:
        with temporary.open("wb") as file:
            written, num_notes = _write_blocks(dataset.iter_audio(), file)
            file.flush()
            os.fsync(file.fileno())
        if num_notes != expected["num_notes"]:
            raise DatasetError(
                f"expected {expected['num_notes']} notes in {dataset.manifest_uri} by its "
                f"manifest, found {num_notes} in its shards"
            )
        if (stored := _digest_of(temporary)) != written:
            raise OSError(errno.EIO, f"wrote samples of digest {written} and read back {stored}")
        temporary.replace(path)
    with _temporary_beside(path) as temporary:
        temporary.write_text(json.dumps(expected | {"audio_digest": written}, indent=2) + "\n")
        temporary.replace(_sidecar(path))


def _write_blocks(blocks: Iterator[NDArray[np.float32]], file: BinaryIO) -> tuple[str, int]:
    """Writes blocks of float32 [n, 8000]; returns the digest of all bytes, and the notes."""
    digest, num_notes = xxhash.xxh3_128(), 0
    for block in blocks:
        data = np.ascontiguousarray(block, dtype="<f4").data.cast("B")
        digest.update(data)
        file.write(data)
        num_notes += len(block)
    return digest.hexdigest(), num_notes


def _digest_of(path: Path) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """A file of its own beside `path`, so that two builds at once never mix; gone in the end."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.stem}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _remove_abandoned(path: Path) -> None:
    """Removes what killed builds of this cache left: they may be as large as the cache itself."""
    for part in path.parent.glob(f"{path.stem}.*.part"):
        if time.time() - part.stat().st_mtime > _ABANDONED_SEC:
            part.unlink(missing_ok=True)


@contextmanager
def _disk_full_explained(cache_dir: Path, num_notes: int) -> Iterator[None]:
    """Turns what the user can mend into one sentence."""
    try:
        yield
    except PermissionError as err:
        raise ConfigError(f"cannot write the audio cache to {cache_dir}: {err.strerror}") from err
    except OSError as err:
        if err.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        free = shutil.disk_usage(cache_dir).free
        raise ConfigError(
            f"the audio cache of {num_notes} notes needs {num_notes * NOTE_BYTES / 1e9:.1f} GB in "
            f"{cache_dir}, where {free / 1e9:.1f} GB are free; name a folder on another disk"
        ) from err
