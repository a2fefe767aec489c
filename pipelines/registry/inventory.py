"""What lies under a root: data sets, finished or not, and runs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.convert.commit.manifest import Manifest, load_manifest
from pipelines.convert.shards.plan import SHARDS_FOLDER
from pipelines.errors import ConfigError, PipelineError
from pipelines.layout import MANIFEST, RECORD
from pipelines.registry.runs import RunRecord, load_run
from pipelines.text import listed

SHARD_FOLDERS: Final = (SHARDS_FOLDER, "quarantine")
"""Folders of a data set that may hold shards, beside its own."""


@dataclass(frozen=True)
class StoredDataset:
    """One folder under `notes/`.

    Attributes:
      manifest: None while the conversion is not committed, or where it cannot be read.
      is_committed: whether there is one, readable or not.
      note: why there is none.
      num_shards: shards stored, whether listed or not.
      stored_bytes: of these shards.
    """

    uri: str
    manifest: Manifest | None
    note: str
    num_shards: int
    stored_bytes: int
    is_committed: bool = True


@dataclass(frozen=True)
class StoredRun:
    """One folder under `runs/`; `record` is None where the run is not complete."""

    uri: str
    record: RunRecord | None
    note: str


def list_datasets(root: str) -> Sequence[StoredDataset]:
    """The data sets under a root, by name of their folder."""
    return [_dataset(uri) for uri in list_dataset_uris(root)]


def list_dataset_uris(root: str) -> Sequence[str]:
    """The folders of the data sets under a root, finished or not, by name."""
    notes = storage.join(storage.absolute(root), "notes")
    return [storage.join(notes, name) for name in storage.list_folders(notes)]


def list_runs(root: str) -> Sequence[StoredRun]:
    """The runs under a root, by name of their folder."""
    runs = storage.join(storage.absolute(root), "runs")
    return [stored_run(storage.join(runs, name)) for name in storage.list_folders(runs)]


def stored_run(uri: str) -> StoredRun:
    """The run in a folder under `runs/`."""
    try:
        if RECORD not in storage.list_names(uri):
            return StoredRun(uri, None, "not complete: run the same training again to finish it")
        return StoredRun(uri, load_run(uri), "")
    except PipelineError as err:
        return StoredRun(uri, None, str(err))


def manifests_under(uri: str) -> list[str]:
    """Return the manifests that a manifest's, a data set's or a root's location stands for.

    Those that cannot be read are among them, so that no command passes over them.
    """
    uri = storage.absolute(uri)
    if uri.endswith(".json"):
        return [uri] if storage.name(uri) != RECORD else []
    if MANIFEST in storage.list_names(uri):
        return [storage.join(uri, MANIFEST)]
    return [storage.join(found.uri, MANIFEST) for found in list_datasets(uri) if found.is_committed]


def runs_under(uri: str) -> list[str]:
    """Return the folders of the runs that a run's or a root's location stands for."""
    uri = storage.absolute(uri)
    if uri.endswith(".json"):
        return [storage.parent(uri)] if storage.name(uri) == RECORD else []
    if storage.exists(storage.join(uri, RECORD)):
        return [uri]
    runs = storage.join(uri, "runs")
    return [storage.join(runs, name) for name in storage.list_folders(runs)]


def is_root(uri: str) -> bool:
    """Return whether a location holds a registry, and so is a root."""
    uri = storage.absolute(uri)
    is_file = uri.endswith(".json")
    return not is_file and bool(storage.list_folders(storage.join(uri, "registry")))


def datasets_under(uri: str) -> list[str]:
    """Return the folders of the data sets, finished or not, that a location stands for.

    Args:
      uri: of a manifest, of a data set's folder, or of a root.

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
        # A data set that cannot be read says nothing about the others.
        note = str(err)
    return StoredDataset(uri, manifest, note, len(shards), sum(shards.values()), is_committed)


def find_run(root: str, run: str) -> str:
    """The folder of a complete run.

    Args:
      root: the location that holds `runs/`.
      run: a run_id, the beginning of one that no other run shares, or a URI of folder or run.json.

    Raises:
      ConfigError: no run is meant, or several are.
    """
    if "/" in run:
        uri = storage.absolute(run.removesuffix(f"/{RECORD}"))
        if not storage.exists(storage.join(uri, RECORD)):
            raise ConfigError(f"there is no {RECORD} in {uri}; check the URI, or finish the run")
        return uri
    if not re.fullmatch("[0-9a-f]+", run):
        raise ConfigError(f"expected a run_id of digits and a to f, or a URI, got {run!r}")
    runs = storage.join(storage.absolute(root), "runs")
    begun = [name for name in storage.list_folders(runs) if name.startswith(run)]
    ids = [name for name in begun if storage.exists(storage.join(runs, name, RECORD))]
    if run in ids:
        ids = [run]
    if len(ids) != 1:
        which = f"several runs begin with {run!r}: {listed(ids)}" if ids else f"no run {run!r}"
        raise ConfigError(f"{which} in {runs}; name one by its run_id")
    return storage.join(runs, ids[0])
