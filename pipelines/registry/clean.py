"""What no manifest lists, found and removed: shards of plans that were abandoned."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.convert.manifest import Manifest
from pipelines.convert.quarantine import listed_files
from pipelines.registry.inventory import StoredDataset, list_datasets

MIN_AGE_SEC: Final = 24 * 3600.0
"""Younger objects may belong to a conversion that is running."""


@dataclass(frozen=True)
class Abandoned:
    """An object that no manifest lists."""

    uri: str
    stored_bytes: int
    why: str


def find_abandoned(root: str, *, min_age_sec: float = MIN_AGE_SEC) -> list[Abandoned]:
    """The objects under `notes/` that no reader will ever find.

    Args:
      min_age_sec: objects changed since are left alone; in a folder without a manifest all are, as
        long as one of them is so young.
    """
    newest = time.time() - min_age_sec
    return [found for dataset in list_datasets(root) for found in _abandoned(dataset, newest)]


def remove_abandoned(found: Sequence[Abandoned]) -> None:
    """Removes what `find_abandoned` found; running it twice does no harm."""
    for item in found:
        storage.remove(item.uri)


def _abandoned(dataset: StoredDataset, newest: float) -> list[Abandoned]:
    folders = (dataset.uri, storage.join(dataset.uri, "quarantine"))
    if dataset.manifest is None:
        if "manifest.json" in storage.sizes(dataset.uri):
            # A manifest that this version cannot read may be another version's.
            return []
        changed = [sec for folder in folders for sec in storage.modified(folder).values()]
        if not changed or max(changed) > newest:
            return []
        why = "the conversion was never committed"
        return [
            _item(folder, name, size, why) for folder in folders for name, size in _shards(folder)
        ]
    return [
        _item(folder, name, size, "no manifest lists it")
        for folder, listed in zip(folders, _listed(dataset.manifest), strict=True)
        for name, size in _shards(folder)
        if name not in listed and storage.modified(folder)[name] <= newest
    ]


def _shards(folder: str) -> list[tuple[str, int]]:
    return [
        (name, size) for name, size in storage.sizes(folder).items() if name.endswith(".parquet")
    ]


def _listed(manifest: Manifest) -> tuple[set[str], set[str]]:
    return {shard.name for shard in manifest.shards}, set(listed_files(manifest))


def _item(folder: str, name: str, size: int, why: str) -> Abandoned:
    return Abandoned(storage.join(folder, name), size, why)
