"""Shards of conversions that were abandoned, found and removed.

What a folder holds is removed only where nothing in it is named manifest.json, whatever that is,
all of it is old, and no conversion is at work there. What only a link leads to is left alone.
"""

import logging
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from pipelines import storage
from pipelines.convert.commit.manifest import load_manifest
from pipelines.errors import ConfigError, PipelineError
from pipelines.layout import MANIFEST
from pipelines.records import parse
from pipelines.registry.inventory import SHARD_FOLDERS, list_dataset_uris, list_datasets

MIN_AGE_SEC: Final = 24 * 3600.0
"""Younger objects may belong to a conversion that somebody means to finish."""

_SHARD: Final = re.compile(r"part-\d{5}-\d{15}\.parquet|spans\.parquet")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Abandoned:
    """An object that no reader will ever find.

    Attributes:
      dataset: the folder of the conversion that left it; empty where it is of none.
    """

    uri: str
    stored_bytes: int
    why: str
    dataset: str = ""


def find_abandoned(root: str, *, min_age_sec: float = MIN_AGE_SEC) -> list[Abandoned]:
    """Return the shards under `notes/` of conversions that were never committed.

    Args:
      min_age_sec: a folder in which anything was changed since is left alone as a whole: a
        conversion that goes on builds on its oldest shards.
    """
    newest, found = time.time() - min_age_sec, list[Abandoned]()
    for uri in list_dataset_uris(root):
        try:
            found += _abandoned(uri, newest)
        except (ConfigError, PermissionError) as err:
            log.warning("leaving %s alone: %s", uri, err)
    return found


def remove_abandoned(found: Sequence[Abandoned]) -> list[Abandoned]:
    """Remove what was found, and return what was; running it twice does no harm.

    A conversion that has begun or ended since keeps its folder as it is, and one that begins in the
    meantime waits.
    """
    removed = list[Abandoned]()
    for dataset, items in groupby(found, key=lambda item: item.dataset):
        if not dataset:
            removed += _removed(items)
            continue
        with storage.leased(dataset, "clean") as lease:
            if is_busy := storage.is_at_work(dataset, "convert", own=lease):
                log.info("leaving %s alone: a conversion is at work there", dataset)
            if not is_busy and MANIFEST not in storage.list_names(dataset):
                removed += _removed(items)
    return removed


def _removed(items: Iterator[Abandoned]) -> Iterator[Abandoned]:
    for item in items:
        storage.remove(item.uri)
        yield item


def _abandoned(dataset: str, newest: float) -> list[Abandoned]:
    folders = [storage.join(dataset, folder).rstrip("/") for folder in ("", *SHARD_FOLDERS)]
    if MANIFEST in storage.list_names(dataset):
        # One that cannot be read may be another version's, or on a disk that is not there now.
        return []
    if any(storage.is_link(folder) for folder in folders):
        # Whatever it leads to may be somebody else's as well.
        return []
    changed = [sec for folder in folders for sec in storage.modified(folder).values()]
    if not changed or max(changed) > newest:
        return []
    return [
        Abandoned(storage.join(folder, name), size, "the conversion was never committed", dataset)
        for folder in folders
        for name, size in storage.sizes(folder).items()
        if _SHARD.fullmatch(name)
    ]


_NAME: Final = re.compile(r"(?P<digest>[0-9a-f]{64})\.[0-9a-f]{8}\.(?P<kind>f32|json|f32\.part)")


def find_stale_caches(root: str, *, min_age_sec: float = MIN_AGE_SEC) -> list[Abandoned]:
    """The caches of data sets that a root holds no more, and builds that were never finished.

    In a folder that several roots share, only those made from this one.

    Args:
      min_age_sec: files changed since are left alone; a build may be at work.
    """
    root = storage.absolute(root)
    folder = storage.cache_dir(root)
    files = {path: match for path in _files(folder) if (match := _NAME.fullmatch(path.name))}
    if not files:
        return []
    known = {found.manifest.manifest_digest for found in list_datasets(root) if found.manifest}
    newest, found = time.time() - min_age_sec, list[Abandoned]()
    for path, match in files.items():
        stored = path.stat()
        if stored.st_mtime > newest:
            continue
        if match["kind"] == "f32.part":
            why = "the cache was never completed"
        elif match["digest"] not in known and _is_gone(path, match["digest"], root, folder):
            why = "the data set of this cache is gone"
        else:
            continue
        found.append(Abandoned(str(path), stored.st_blocks * 512, why))
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_gone(path: Path, digest: str, root: str, folder: Path) -> bool:
    """Whether the manifest that a cache was made from is gone, and was under this root."""
    try:
        uri = str(parse(path.with_suffix(".json").read_bytes())["manifest_uri"])
    except (OSError, ValueError, KeyError):
        uri = ""
    if not uri.startswith(f"{root}/"):
        # In the root itself, from before it was moved; elsewhere it is another root's.
        return folder == Path(root, "cache")
    try:
        return load_manifest(uri).manifest_digest != digest
    except PipelineError:
        # A manifest that this version cannot read may be another version's.
        return not storage.exists(uri)
