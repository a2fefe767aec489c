"""Data sets and runs under a root, complete or not."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.convert.commit.manifest import Manifest, load_manifest
from pipelines.errors import ConfigError, PipelineError
from pipelines.layout import (
    DATASETS_FOLDER,
    MANIFEST,
    QUARANTINE_FOLDER,
    RECORD,
    REGISTRY_FOLDER,
    RUNS_FOLDER,
    SHARDS_FOLDER,
)
from pipelines.registry.runs import RunRecord, load_run
from pipelines.text import listed

# Folders of a data set that may hold shards, in addition to its own.
SHARD_FOLDERS: Final = (SHARDS_FOLDER, QUARANTINE_FOLDER)


@dataclass(frozen=True)
class StoredDataset:
    """One folder under `notes/`.

    Attributes:
      manifest: None while the conversion is not committed, or if it cannot be read.
      is_committed: whether there is a manifest, readable or not.
      note: why there is no manifest.
      num_shards: stored shards, in the manifest or not.
      stored_bytes: size of these shards.
    """

    uri: str
    manifest: Manifest | None
    note: str
    num_shards: int
    stored_bytes: int
    is_committed: bool = True


@dataclass(frozen=True)
class StoredRun:
    """One folder under `runs/`; `record` is None if the run is not complete."""

    uri: str
    record: RunRecord | None
    note: str


def list_datasets(root: str) -> Sequence[StoredDataset]:
    """Return the data sets under a root, by name of their folder."""
    return [_dataset(uri) for uri in list_dataset_uris(root)]


def list_dataset_uris(root: str) -> Sequence[str]:
    """Return the folders of the data sets under a root, committed or not, by name."""
    notes = storage.join(storage.absolute(root), DATASETS_FOLDER)
    return [storage.join(notes, name) for name in storage.list_folders(notes)]


def list_runs(root: str) -> Sequence[StoredRun]:
    """Return the runs under a root, by name of their folder."""
    runs = storage.join(storage.absolute(root), RUNS_FOLDER)
    return [stored_run(storage.join(runs, name)) for name in storage.list_folders(runs)]


def stored_run(uri: str) -> StoredRun:
    """Return the run in a folder under `runs/`."""
    try:
        if RECORD not in storage.list_names(uri):
            return StoredRun(uri, None, "not complete: run the same training again to finish it")
        return StoredRun(uri, load_run(uri), "")
    except PipelineError as err:
        return StoredRun(uri, None, str(err))


def manifests_under(uri: str) -> list[str]:
    """Return the manifests of a location: of a manifest, a data set or a root.

    Unreadable ones are included, so that no command passes over them.
    """
    uri = storage.absolute(uri)
    if uri.endswith(".json"):
        return [uri] if storage.name(uri) != RECORD else []
    if MANIFEST in storage.list_names(uri):
        return [storage.join(uri, MANIFEST)]
    return [storage.join(found.uri, MANIFEST) for found in list_datasets(uri) if found.is_committed]


def runs_under(uri: str) -> list[str]:
    """Return the folders of the runs of a location: of a run or a root."""
    uri = storage.absolute(uri)
    if uri.endswith(".json"):
        return [storage.parent(uri)] if storage.name(uri) == RECORD else []
    if storage.exists(storage.join(uri, RECORD)):
        return [uri]
    runs = storage.join(uri, RUNS_FOLDER)
    return [storage.join(runs, name) for name in storage.list_folders(runs)]


def is_root(uri: str) -> bool:
    """Return whether a location is a root: whether it holds a registry."""
    uri = storage.absolute(uri)
    is_file = uri.endswith(".json")
    return not is_file and bool(storage.list_folders(storage.join(uri, REGISTRY_FOLDER)))


def datasets_under(uri: str) -> list[str]:
    """Return the folders of the data sets of a location, committed or not.

    Args:
      uri: location of a manifest, a data set or a root.

    Raises:
      ConfigError: a manifest was named, and there is none.
    """
    uri = storage.absolute(uri)
    if uri.endswith(".json"):
        load_manifest(uri)
        return [storage.parent(uri)]
    names = set(storage.list_names(uri))
    is_dataset = "notes" not in names and not names.isdisjoint((MANIFEST, *SHARD_FOLDERS))
    if is_dataset or any(name.startswith("part-") for name in names):
        return [uri]
    return [found.uri for found in list_datasets(uri)]


def _dataset(uri: str) -> StoredDataset:
    manifest, note = None, "not committed: convert the source again to finish it"
    is_committed = False
    shards = dict[str, int]()
    try:
        if MANIFEST in storage.list_names(uri):
            note, is_committed = "", True
            manifest = load_manifest(storage.join(uri, MANIFEST))
        folders = (uri, storage.join(uri, SHARDS_FOLDER))
        stored = [item for folder in folders for item in storage.sizes(folder).items()]
        shards = {name: size for name, size in stored if name.startswith("part-")}
    except PipelineError as err:
        # An unreadable data set does not affect the others.
        note = str(err)
    return StoredDataset(uri, manifest, note, len(shards), sum(shards.values()), is_committed)


def find_run(root: str, run: str) -> str:
    """Return the folder of a complete run.

    Args:
      root: location that holds `runs/`.
      run: a run_id, the unique beginning of one, or the URI of a folder or of run.json.

    Raises:
      ConfigError: no run matches, or several do.
    """
    if "/" in run:
        uri = storage.absolute(run.removesuffix(f"/{RECORD}"))
        if not storage.exists(storage.join(uri, RECORD)):
            raise ConfigError(f"there is no {RECORD} in {uri}; check the URI, or finish the run")
        return uri
    if not re.fullmatch("[0-9a-f]+", run):
        raise ConfigError(f"expected a run_id of digits and a to f, or a URI, got {run!r}")
    runs = storage.join(storage.absolute(root), RUNS_FOLDER)
    begun = [name for name in storage.list_folders(runs) if name.startswith(run)]
    ids = [name for name in begun if storage.exists(storage.join(runs, name, RECORD))]
    if run in ids:
        ids = [run]
    if len(ids) != 1:
        which = f"several runs begin with {run!r}: {listed(ids)}" if ids else f"no run {run!r}"
        raise ConfigError(f"{which} in {runs}; name one by its run_id")
    return storage.join(runs, ids[0])
