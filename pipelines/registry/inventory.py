"""What lies under a root: data sets, finished or not, and runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines import storage
from pipelines.convert.manifest import Manifest, load_manifest
from pipelines.errors import PipelineError
from pipelines.registry.runs import RECORD, RunRecord, load_run


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
    notes = storage.join(storage.absolute(root), "notes")
    return [_dataset(storage.join(notes, name)) for name in storage.list_folders(notes)]


def list_runs(root: str) -> Sequence[StoredRun]:
    """The runs under a root, by name of their folder."""
    runs = storage.join(storage.absolute(root), "runs")
    return [stored_run(storage.join(runs, name)) for name in storage.list_folders(runs)]


def stored_run(uri: str) -> StoredRun:
    """The run in a folder under `runs/`."""
    if RECORD not in storage.sizes(uri):
        return StoredRun(uri, None, "not complete: run the same training again to finish it")
    try:
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
    own = storage.join(uri, "manifest.json")
    if storage.exists(own):
        return [own]
    return [
        storage.join(found.uri, "manifest.json")
        for found in list_datasets(uri)
        if found.is_committed
    ]


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


def _dataset(uri: str) -> StoredDataset:
    sizes = storage.sizes(uri)
    shards = {name: size for name, size in sizes.items() if name.startswith("part-")}
    manifest, note = None, "not committed: convert the source again to finish it"
    is_committed = "manifest.json" in sizes
    if is_committed:
        try:
            manifest, note = load_manifest(storage.join(uri, "manifest.json")), ""
        except PipelineError as err:
            note = str(err)
    return StoredDataset(uri, manifest, note, len(shards), sum(shards.values()), is_committed)
