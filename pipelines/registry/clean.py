"""Leftovers under a root, found and removed: shards of abandoned conversions, and old caches.

The shards of a folder are removed only if it has no manifest.json, even an unreadable one, if all
of them are old, and if no conversion is at work there. What only a link leads to is left alone.
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

# Younger objects may belong to a conversion that somebody means to finish.
MIN_AGE_SEC: Final = 24 * 3600.0

_SHARD: Final = re.compile(r"part-\d{5}-\d{15}\.parquet|spans\.parquet")
_CACHE: Final = re.compile(
    r"(?P<stem>(?P<digest>[0-9a-f]{64})\.[0-9a-f]{8})\.(?P<kind>f32|json|f32\.part|f32\.lock)"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Abandoned:
    """A file that no reader will ever find.

    Attributes:
      dataset: folder of the conversion that left it; empty for other files.
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
    newest, abandoned = time.time() - min_age_sec, list[Abandoned]()
    for uri in list_dataset_uris(root):
        try:
            abandoned += _abandoned_shards(uri, newest)
        except (ConfigError, PermissionError) as err:
            log.warning("leaving %s alone: %s", uri, err)
    return abandoned


def find_stale_caches(root: str, *, min_age_sec: float = MIN_AGE_SEC) -> list[Abandoned]:
    """Return the sample caches of data sets that are gone, and builds that were never finished.

    Nothing is lost with a cache. In a folder that several roots share, only those of this root are
    returned.

    Args:
      min_age_sec: files changed since are left alone; a build may be at work.
    """
    root = storage.absolute(root)
    folder = storage.cache_dir(root)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    files = {path: match for path in paths if (match := _CACHE.fullmatch(path.name))}
    if not files:
        return []
    known = {item.manifest.manifest_digest for item in list_datasets(root) if item.manifest}
    newest, stale = time.time() - min_age_sec, list[Abandoned]()
    for path, match in files.items():
        stored = path.stat()
        if stored.st_mtime > newest:
            continue
        if match["kind"] == "f32.part":
            why = "the cache was never completed"
        elif match["digest"] not in known and _is_gone(match, root, folder):
            why = "the data set of this cache is gone"
        else:
            continue
        stale.append(Abandoned(str(path), stored.st_blocks * 512, why))
    return stale


def remove_abandoned(abandoned: Sequence[Abandoned]) -> list[Abandoned]:
    """Remove files and return those that were removed; running it twice does no harm.

    A conversion that has begun or ended since keeps its folder as it is, and one that begins in the
    meantime waits.
    """
    removed = list[Abandoned]()
    for dataset, items in groupby(abandoned, key=lambda item: item.dataset):
        if not dataset:
            removed += _remove(items)
            continue
        with storage.leased(dataset, "clean") as lease:
            if is_busy := storage.is_at_work(dataset, "convert", own=lease):
                log.info("leaving %s alone: a conversion is at work there", dataset)
            if not is_busy and MANIFEST not in storage.list_names(dataset):
                removed += _remove(items)
    return removed


def _remove(items: Iterator[Abandoned]) -> Iterator[Abandoned]:
    for item in items:
        storage.remove(item.uri)
        yield item


def _abandoned_shards(dataset: str, newest: float) -> list[Abandoned]:
    folders = [storage.join(dataset, folder).rstrip("/") for folder in ("", *SHARD_FOLDERS)]
    if MANIFEST in storage.list_names(dataset):
        # One that cannot be read may be another version's, or on a disk that is not there now.
        return []
    if any(storage.is_link(folder) for folder in folders):
        # The files that it leads to may belong to somebody else too.
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


def _is_gone(cache: re.Match[str], root: str, folder: Path) -> bool:
    """Return whether a cache's manifest is gone and was under this root."""
    try:
        uri = str(parse((folder / f"{cache['stem']}.json").read_bytes())["manifest_uri"])
    except (OSError, ValueError, KeyError):
        uri = ""
    if not uri.startswith(f"{root}/"):
        # In the root itself, the cache is from before the root was moved; elsewhere it belongs to
        # another root.
        return folder == Path(root, "cache")
    try:
        return load_manifest(uri).manifest_digest != cache["digest"]
    except PipelineError:
        # A manifest that this version cannot read may be another version's.
        return not storage.exists(uri)
