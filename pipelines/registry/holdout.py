"""The held-out set: notes that no promoted model trained on or was chosen by.

    <root>/registry/gate/00001.json                     its digest, and where its samples are
    <root>/registry/gate/<digest>/notes.parquet         one row per note
    <root>/registry/gate/<digest>/looks/00001.json ...  each use of it, numbered

The set is frozen: each file is created only if it is absent, and the highest record counts. Stored
names call the set a gate, and a use of it a look.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines import storage
from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import DatasetError
from pipelines.layout import HOLDOUT, HOLDOUT_LOOKS, HOLDOUT_NOTES, registry_uri, relative, resolve
from pipelines.note_schema import SCHEMA
from pipelines.parquet import encode, read_table, table_digest
from pipelines.records import Count, Name, Place, digest, now
from pipelines.registry.ledger import add_record, read_ledger, record_uri

# The columns that a table of predictions needs of a note.
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

HOLDOUT_SCHEMA: Final = pa.schema(
    [pa.field("row", pa.int64(), nullable=False), *(SCHEMA.field(name) for name in HOLDOUT_COLUMNS)]
)

_MEND: Final = "restore it from a backup"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Pointer:
    """The record of a held-out set.

    Attributes:
      manifest: of the data set that holds its notes, relative to the root.
      notes_digest: digest of notes.parquet; None in a record of format 1.
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
    """A frozen held-out set.

    Attributes:
      uri: folder of its notes.
      manifest_uri: manifest of the data set that holds their samples.
      holds_instruments: whether all notes of its instruments are kept from training, not its own
        notes alone.
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
        """Return the number of different instruments of its notes."""
        return len(self.notes["instrument_str"].unique())

    def holds(self, audio_digests: Sequence[str], instruments: Sequence[str]) -> NDArray[np.bool_]:
        """Return which notes a model may not train on: bool [num_notes].

        Args:
          audio_digests: digest of each note's original samples, [num_notes].
          instruments: name of each note's instrument, [num_notes].
        """
        own = set(self.notes["audio_digest"].to_pylist())
        names = set(self.notes["instrument_str"].to_pylist()) if self.holds_instruments else set()
        return np.array(
            [
                digest in own or name in names
                for digest, name in zip(audio_digests, instruments, strict=True)
            ],
            bool,
        )


def freeze_holdout(
    root: str, manifest_uri: str, rows: NDArray[np.int64], *, holds_instruments: bool
) -> Holdout:
    """Make notes of a data set the held-out set unless there is one; return the present one.

    Args:
      rows: int64 [num_notes], rows of the notes in the data set of the manifest.

    Raises:
      DatasetError: the stored set is damaged, or gone.
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
    storage.create(registry_uri(root, HOLDOUT, name, HOLDOUT_NOTES), encode(notes))
    pointer = {"digest": name, **content, "when": now()}
    if add_record(registry_uri(root, HOLDOUT), 1, pointer):
        log.info("froze %d notes as the held-out set %s", len(rows), name[:12])
    holdout = current_holdout(root)
    if holdout is None:
        raise DatasetError(
            f"{registry_uri(root, HOLDOUT)} lost its gate; look at who removes files"
        )
    return holdout


def current_holdout(root: str) -> Holdout | None:
    """Return the held-out set of a root; None if none is frozen yet.

    Raises:
      DatasetError: it is damaged, or of a format that this version does not read.
    """
    pointers = read_ledger(registry_uri(root, HOLDOUT), _Pointer, what="the record of a gate")
    if not pointers:
        return None
    record = pointers[-1]
    uri = registry_uri(root, HOLDOUT, record.digest)
    place = storage.join(uri, HOLDOUT_NOTES)
    notes = read_table(place, HOLDOUT_SCHEMA, mend=_MEND)
    if notes.num_rows != record.num_notes:
        raise DatasetError(
            f"expected {record.num_notes} notes in {place}, found {notes.num_rows}; {_MEND}"
        )
    name = _digest(notes, record.holds_instruments, record.manifest_digest)
    if name != record.digest or record.notes_digest not in (None, table_digest(notes)):
        raise DatasetError(f"{place} does not hold the notes that were frozen; {_MEND}")
    return Holdout(
        digest=record.digest,
        uri=uri,
        manifest_uri=resolve(root, record.manifest),
        manifest_digest=record.manifest_digest,
        holds_instruments=record.holds_instruments,
        notes=notes,
    )


def check_notes(holdout: Holdout, dataset: Dataset) -> None:
    """Raise if the notes of a held-out set are not those of its data set.

    Raises:
      DatasetError: the data set is another one, or holds other notes in these rows.
    """
    if dataset.manifest.manifest_digest != holdout.manifest_digest:
        raise DatasetError(
            f"{holdout.manifest_uri} is not the data set that the gate was taken from; convert its "
            "source again"
        )
    names, rows = list(HOLDOUT_COLUMNS), holdout.notes["row"].to_pylist()
    is_inside = not rows or (rows[0] >= 0 and rows[-1] < dataset.manifest.num_notes)
    if not is_inside or not dataset.take(names, rows).equals(holdout.notes.select(names)):
        raise DatasetError(
            f"{holdout.uri}/{HOLDOUT_NOTES} does not hold the notes of {holdout.manifest_uri}; "
            f"{_MEND}"
        )


def _digest(notes: pa.Table, holds_instruments: bool, manifest_digest: str) -> str:
    identity = notes.select(["audio_digest", "note_str", "instrument_family"]).to_pylist()
    return digest([identity, holds_instruments, manifest_digest])


def load_looks(holdout: Holdout) -> Sequence[Mapping[str, Any]]:
    """Return the uses of a held-out set so far, in order; see `record_look`."""
    folder = storage.join(holdout.uri, HOLDOUT_LOOKS)
    looks = read_ledger(folder, dict[str, Any], what="the record of a look")
    for known in looks:
        if not isinstance(known.get("when"), str):
            uri = record_uri(folder, known["number"])
            raise DatasetError(f"{uri} is not the record of a look: it says no time; {_MEND}")
    return looks


def record_look(holdout: Holdout, what: Mapping[str, Any]) -> int:
    """Record a use of a held-out set before its scores are seen.

    A use for the same pair of models by the same rule reveals nothing new and is not counted again.

    Args:
      what: which models are compared, and by which rule.

    Returns:
      The number of the use, from 1.
    """
    folder = storage.join(holdout.uri, HOLDOUT_LOOKS)
    while True:
        before = load_looks(holdout)
        for number, known in enumerate(before, start=1):
            if what.items() <= known.items():
                return number
        number = len(before) + 1
        content = {**what, "when": now()}
        if add_record(folder, number, content):
            return number
