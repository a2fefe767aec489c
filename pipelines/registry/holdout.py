"""The gate: notes that no promoted model trained on or was chosen by, frozen by their digest.

    <root>/registry/gate/00001.json                     which notes, where their samples are
    <root>/registry/gate/<digest>/notes.parquet         a row a note
    <root>/registry/gate/<digest>/looks/00001.json ...  each use of it, counted

The highest pointer is the gate; each is created where it is absent, and so is each look.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.shards.shard import encode
from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import DatasetError
from pipelines.layout import HOLDOUT, registry_uri, relative, resolve
from pipelines.notes import SCHEMA
from pipelines.parquet import read_table, table_digest
from pipelines.records import Count, Name, Place, digest, now
from pipelines.registry.ledger import add_record, read_ledger, record_uri

HOLDOUT_COLUMNS: Final = (
    "note_str",
    "instrument",
    "instrument_str",
    "instrument_source",
    "instrument_source_str",
    "instrument_family",
    "instrument_family_str",
    "pitch",
    "velocity",
    "audio_digest",
)
"""What is kept of a note beside its row: what a table of predictions says of it."""

HOLDOUT_SCHEMA: Final = pa.schema(
    [pa.field("row", pa.int64(), nullable=False), *(SCHEMA.field(name) for name in HOLDOUT_COLUMNS)]
)

_MEND: Final = "restore it from a backup"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Pointer:
    """The record of a gate.

    Attributes:
      manifest: of the data set that holds its notes, as seen from the root.
      notes_digest: of notes.parquet; None in a record of format 1.
    """

    number: Count
    digest: Name
    holds_instruments: bool
    manifest: Place
    manifest_digest: Name
    num_notes: Count
    when: str
    notes_digest: str | None = None


@dataclass(frozen=True, eq=False)
class Holdout:
    """A frozen gate.

    Attributes:
      uri: the folder of its notes.
      manifest_uri: of the data set that holds their samples.
      holds_instruments: whether all notes of the gate's instruments are kept out of training, not
        its own notes alone.
      notes: `row` in that data set and `GATE_COLUMNS`, in the order of rows.
    """

    digest: str
    uri: str
    manifest_uri: str
    manifest_digest: str
    holds_instruments: bool
    notes: pa.Table = field(repr=False)

    @property
    def num_instruments(self) -> int:
        """Different instruments of its notes."""
        return len(self.notes["instrument_str"].unique())

    def holds(self, audio_digests: Sequence[str], instruments: Sequence[str]) -> NDArray[np.bool_]:
        """Which notes a model may not train on, by their audio, and by instrument where it says so.

        Args:
          audio_digests: of each note's original samples.
          instruments: the name of each note's instrument.
        """
        own = set(self.notes["audio_digest"].to_pylist())
        names = set(self.notes["instrument_str"].to_pylist()) if self.holds_instruments else set()
        return np.array(
            [
                of in own or name in names
                for of, name in zip(audio_digests, instruments, strict=True)
            ],
            bool,
        )


def freeze_holdout(
    root: str, manifest_uri: str, rows: NDArray[np.int64], *, holds_instruments: bool
) -> Holdout:
    """Makes notes of a data set the gate, unless there is one; returns the one that there is.

    Args:
      rows: of the notes, in the data set of the manifest.
    """
    dataset = open_dataset(manifest_uri)
    rows = np.sort(rows)
    notes = dataset.read(list(HOLDOUT_COLUMNS)).take(pa.array(rows))
    notes = notes.add_column(0, HOLDOUT_SCHEMA.field("row"), [rows])
    content = {
        "holds_instruments": holds_instruments,
        "manifest": relative(root, dataset.manifest_uri),
        "manifest_digest": dataset.manifest.manifest_digest,
        "num_notes": len(rows),
        "notes_digest": table_digest(notes),
    }
    name = _digest(notes, holds_instruments, dataset.manifest.manifest_digest)
    # The notes go first: where the pointer is, they are.
    storage.create(registry_uri(root, HOLDOUT, name, "notes.parquet"), encode(notes))
    pointer = {"digest": name, **content, "when": now()}
    if add_record(registry_uri(root, HOLDOUT), 1, pointer):
        log.info("froze %d notes as the gate %s", len(rows), name[:12])
    gate = current_holdout(root)
    if gate is None:
        raise DatasetError(
            f"{registry_uri(root, HOLDOUT)} lost its gate; look at who removes files"
        )
    return gate


def current_holdout(root: str) -> Holdout | None:
    """The gate of a root; None where none is frozen yet.

    Raises:
      DatasetError: it is damaged, or of a format that this version does not read.
    """
    pointers = read_ledger(registry_uri(root, HOLDOUT), _Pointer, what="the record of a gate")
    if not pointers:
        return None
    found = pointers[-1]
    uri = registry_uri(root, HOLDOUT, found.digest)
    place = storage.join(uri, "notes.parquet")
    notes = read_table(place, HOLDOUT_SCHEMA, mend=_MEND)
    if notes.num_rows != found.num_notes:
        raise DatasetError(
            f"expected {found.num_notes} notes in {place}, found {notes.num_rows}; {_MEND}"
        )
    name = _digest(notes, found.holds_instruments, found.manifest_digest)
    if name != found.digest or found.notes_digest not in (None, table_digest(notes)):
        raise DatasetError(f"{place} does not hold the notes that were frozen; {_MEND}")
    return Holdout(
        digest=found.digest,
        uri=uri,
        manifest_uri=resolve(root, found.manifest),
        manifest_digest=found.manifest_digest,
        holds_instruments=found.holds_instruments,
        notes=notes,
    )


def check_notes(gate: Holdout, dataset: Dataset) -> None:
    """Refuse a gate whose notes are not those of its data set.

    Raises:
      DatasetError: the data set is another one, or holds other notes in these rows.
    """
    if dataset.manifest.manifest_digest != gate.manifest_digest:
        raise DatasetError(
            f"{gate.manifest_uri} is not the data set that the gate was taken from; convert its "
            "source again"
        )
    names, rows = list(HOLDOUT_COLUMNS), gate.notes["row"].to_pylist()
    is_inside = not rows or (rows[0] >= 0 and rows[-1] < dataset.manifest.num_notes)
    if not is_inside or not dataset.take(names, rows).equals(gate.notes.select(names)):
        raise DatasetError(
            f"{gate.uri}/notes.parquet does not hold the notes of {gate.manifest_uri}; {_MEND}"
        )


def _digest(notes: pa.Table, holds_instruments: bool, manifest_digest: str) -> str:
    identity = notes.select(["audio_digest", "note_str", "instrument_family"]).to_pylist()
    return digest([identity, holds_instruments, manifest_digest])


def load_looks(gate: Holdout) -> Sequence[Mapping[str, Any]]:
    """What the gate has decided so far, in order; see `look`."""
    folder = storage.join(gate.uri, "looks")
    found = read_ledger(folder, dict[str, Any], what="the record of a look")
    for known in found:
        if not isinstance(known.get("when"), str):
            uri = record_uri(folder, known["number"])
            raise DatasetError(f"{uri} is not the record of a look: it says no time; {_MEND}")
    return found


def record_look(gate: Holdout, what: Mapping[str, Any]) -> int:
    """Writes down a look at the gate before its figures are seen.

    A look at the same pair of models by the same rule tells nothing new and is not counted again.

    Args:
      what: which models are looked at, and by which rule.

    Returns:
      The number of the look, from 1.
    """
    folder = storage.join(gate.uri, "looks")
    while True:
        before = load_looks(gate)
        for number, known in enumerate(before, start=1):
            if what.items() <= known.items():
                return number
        number = len(before) + 1
        content = {**what, "when": now()}
        if add_record(folder, number, content):
            return number
