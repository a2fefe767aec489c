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
      note: why there is none.
      num_shards: shards stored, whether listed or not.
      stored_bytes: of these shards.
    """

    uri: str
    manifest: Manifest | None
    note: str
    num_shards: int
    stored_bytes: int


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
    """The manifests that a manifest's, a data set's or a root's location stands for."""
    uri = storage.absolute(uri)
    if uri.endswith(".json"):
        return [uri]
    own = storage.join(uri, "manifest.json")
    if storage.exists(own):
        return [own]
    return [
        storage.join(found.uri, "manifest.json") for found in list_datasets(uri) if found.manifest
    ]


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
    names = {*storage.sizes(uri), *storage.list_folders(uri)}
    if names & {"manifest.json", "quarantine"} or any(name.startswith("part-") for name in names):
        return [uri]
    return [found.uri for found in list_datasets(uri)]


def _dataset(uri: str) -> StoredDataset:
    sizes = storage.sizes(uri)
    shards = {name: size for name, size in sizes.items() if name.startswith("part-")}
    manifest, note = None, "not committed: convert the source again to finish it"
    if "manifest.json" in sizes:
        try:
            manifest, note = load_manifest(storage.join(uri, "manifest.json")), ""
        except PipelineError as err:
            note = str(err)
    return StoredDataset(uri, manifest, note, len(shards), sum(shards.values()))
