"""Errata of a data set: its defects as a table, one row per defect, stored beside the manifest.

Verdicts say which notes this project drops; errata say all that is wrong with the data, for anyone
who uses them: also what is no reason to drop a note, and what two data sets have in common.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from pipelines import storage
from pipelines.dataset import Dataset, open_dataset
from pipelines.decisions import record_decision
from pipelines.errors import ConfigError, PipelineError, ShardError
from pipelines.layout import ERRATA_FOLDER
from pipelines.notes import named_split
from pipelines.parquet import read_table, table_digest, write_table
from pipelines.progress import OnProgress, ignore
from pipelines.records import digest
from pipelines.text import listed
from pipelines.validate.rules import (
    COLUMNS,
    RULES,
    RULES_VERSION,
    Columns,
    find_reasons,
    is_defect,
)
from pipelines.validate.twins import MIN_CORRELATION, Twins, find_twins

# Raised whenever the same notes would give other rows.
ERRATA_VERSION: Final = 1

# Kinds of defects beside the reasons of validation.
NEAR_TWIN: Final = "near_twin"
SHARED_INSTRUMENT: Final = "shared_instrument"
UNPITCHED: Final = "unpitched"
FULL_SCALE: Final = "full_scale"

DUPLICATE_AUDIO: Final = "duplicate_audio"

KINDS: Final = (*filter(is_defect, RULES), NEAR_TWIN, UNPITCHED, FULL_SCALE, SHARED_INSTRUMENT)

# The highest 16-bit sample: a waveform that reaches it has probably been cut off there.
FULL_SCALE_PEAK: Final = 32_767 / 32_768

# Instruments share audio where so many notes, and this share of those at common pitches, do.
MIN_SHARED_NOTES: Final = 3
MIN_SHARED: Final = 0.5

# `split` is that which the name of the source file claims, null where it claims none. `value` and
# the other note depend on the kind, see docs/data.md; both may be null.
SCHEMA: Final = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("note_str", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("instrument_str", pa.string(), nullable=False),
        pa.field("pitch", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("split", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("other_note_str", pa.string()),
        pa.field("other_row", pa.int64()),
        pa.field("other_instrument_str", pa.string()),
        pa.field("other_source", pa.string()),
        pa.field("other_split", pa.string()),
    ]
)

_STAMP: Final = b"nsynth_errata"
_AGAIN: Final = "run nsynth errata --force"
_READ: Final = tuple(dict.fromkeys([*COLUMNS, "source_file"]))

# A note, by the place of its data set and its row there.
Place = tuple[int, int]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Defect:
    """One defect of a note of the first data set.

    Attributes:
      other: the note that it has the defect with, if any.
    """

    kind: str
    row: int
    value: float | None
    other: Place | None


def find_errata(
    manifest_uri: str,
    others: Sequence[str] = (),
    *,
    force: bool = False,
    on_progress: OnProgress = ignore,
) -> tuple[str, pa.Table]:
    """Find the defects of a data set and store them beside its manifest; reuse stored ones.

    Args:
      others: manifests of data sets whose audio is looked for in it as well.
      force: find them again even if they are stored.

    Returns:
      The URI of the table, and the table, of `SCHEMA`.

    Raises:
      ConfigError: the data sets have notes of different lengths, or one is named twice.
    """
    datasets = [open_dataset(uri) for uri in (manifest_uri, *others)]
    _check(datasets)
    identity = digest(
        [
            *(ERRATA_VERSION, RULES_VERSION, MIN_CORRELATION, FULL_SCALE_PEAK),
            *(MIN_SHARED_NOTES, MIN_SHARED),
            *(dataset.manifest.manifest_digest for dataset in datasets),
        ]
    )
    folder = storage.parent(datasets[0].manifest_uri)
    uri = storage.join(folder, ERRATA_FOLDER, f"{identity[:16]}.parquet")
    subject = storage.name(folder)
    if not force and (stored := _stored(uri, identity)) is not None:
        why = f"the notes are unchanged: {uri} is there"
        record_decision(log, "errata", subject, "reused", why)
        return uri, stored
    why = f"looking for defects in {datasets[0].manifest.num_notes:,} notes of {manifest_uri}"
    record_decision(log, "errata", subject, "ran", why)
    table = list_errata(datasets, find_twins(datasets, on_progress=on_progress))
    stamp = json.dumps(
        {
            "errata_version": ERRATA_VERSION,
            "identity": identity,
            "manifests": [dataset.manifest.manifest_digest for dataset in datasets],
            "min_correlation": MIN_CORRELATION,
            "digest": table_digest(table),
        }
    )
    write_table(uri, table.replace_schema_metadata({_STAMP: stamp}))
    return uri, table


def list_errata(datasets: Sequence[Dataset], twins: Twins) -> pa.Table:
    """Return one row per defect of the first data set, by kind and then in the order of notes."""
    notes = [dataset.read(list(_READ)) for dataset in datasets]
    columns = [table.to_pydict() for table in notes]
    defects = [
        *_verdicts(notes[0], columns[0]),
        *_copies(columns),
        *_near_twins(columns, twins),
        *_unpitched(columns[0]),
        *_full_scale(columns[0]),
        *_shared_instruments(columns, twins),
    ]
    order = {kind: place for place, kind in enumerate(KINDS)}
    defects.sort(key=lambda one: (order[one.kind], one.row, one.other or (0, 0)))
    return pa.Table.from_pylist([_row(columns, defect) for defect in defects], schema=SCHEMA)


def count_errata(table: pa.Table) -> dict[str, int]:
    """Return the number of defects by kind, in the order of `KINDS`."""
    counts = Counter(table["kind"].to_pylist())
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def select_kind(table: pa.Table, kind: str) -> pa.Table:
    """Return the rows of one kind.

    Raises:
      ConfigError: there is no such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no kind {kind!r} of defect; expected one of {listed(KINDS)}")
    return table.filter(pc.equal(table["kind"], kind))


def export_errata(table: pa.Table, uri: str) -> None:
    """Write a table of errata as CSV or Parquet, by the ending of the name.

    Raises:
      ConfigError: the name has another ending.
    """
    if uri.endswith(".parquet"):
        write_table(uri, table)
    elif uri.endswith(".csv"):
        sink = pa.BufferOutputStream()
        pa_csv.write_csv(table, sink)
        storage.put(uri, sink.getvalue().to_pybytes())
    else:
        raise ConfigError(f"expected a file name that ends in .csv or .parquet, got {uri}")


def read_errata(uri: str) -> tuple[pa.Table, Mapping[str, Any]]:
    """Read a stored table of errata and its stamp.

    Raises:
      ConfigError: there is none.
      ShardError: it is damaged, was changed, or is of another version.
    """
    table = read_table(uri, SCHEMA, mend=_AGAIN)
    try:
        stamp = dict(json.loads((table.schema.metadata or {}).get(_STAMP, b"{}")))
    except ValueError:
        stamp = {}
    table = table.replace_schema_metadata(None)
    if stamp.get("errata_version") != ERRATA_VERSION:
        raise ShardError(f"{uri} is of another version than {ERRATA_VERSION}; {_AGAIN}")
    if stamp.get("digest") != table_digest(table):
        raise ShardError(f"{uri} was changed after it was written; {_AGAIN}")
    return table, stamp


def _check(datasets: Sequence[Dataset]) -> None:
    first, named = datasets[0], set[str]()
    for dataset in datasets:
        if dataset.num_samples != first.num_samples:
            raise ConfigError(
                f"{dataset.manifest_uri} has {dataset.num_samples:,} samples per note and "
                f"{first.manifest_uri} has {first.num_samples:,}; name data sets of one length"
            )
        if dataset.manifest.manifest_digest in named:
            raise ConfigError(f"{dataset.manifest_uri} is named twice; name each data set once")
        named.add(dataset.manifest.manifest_digest)


def _stored(uri: str, identity: str) -> pa.Table | None:
    """Return the stored errata; None unless they are intact and of these data sets."""
    if not storage.exists(uri):
        return None
    try:
        table, stamp = read_errata(uri)
    except PipelineError as err:
        log.warning("looking for defects again: %s", err)
        return None
    return table if stamp.get("identity") == identity else None


def _verdicts(notes: pa.Table, columns: Columns) -> Iterator[Defect]:
    """Yield the defects for which validation drops notes, but copies, which `_copies` lists."""
    first: dict[str, int] = {}
    for row, name in enumerate(columns["note_str"]):
        first.setdefault(name, row)
    for row, reason in enumerate(find_reasons(notes)):
        if reason is None or reason == DUPLICATE_AUDIO or not is_defect(reason):
            continue
        value = abs(columns["peak"][row]) if reason == "silent" else None
        is_repeated = reason == "duplicate_note"
        other = (0, first[columns["note_str"][row]]) if is_repeated else None
        yield Defect(reason, row, value, other)


def _copies(columns: Sequence[Columns]) -> Iterator[Defect]:
    """Yield the notes whose samples an earlier note has, or a note of another data set."""
    firsts: list[dict[str, int]] = []
    for others in columns:
        first: dict[str, int] = {}
        for row, digest_ in enumerate(others["audio_digest"]):
            first.setdefault(digest_, row)
        firsts.append(first)
    for row, digest_ in enumerate(columns[0]["audio_digest"]):
        for place, first in enumerate(firsts):
            other = first.get(digest_, row if place == 0 else None)
            if other is not None and (place, other) != (0, row):
                yield Defect(DUPLICATE_AUDIO, row, 1.0, (place, other))


def _near_twins(columns: Sequence[Columns], twins: Twins) -> Iterator[Defect]:
    """Yield each note with its nearest twin in each data set, copies left out."""
    order = np.lexsort((twins.other, -np.abs(twins.correlation), twins.dataset, twins.row))
    last: Place | None = None
    for pair in order:
        row, place, other = (
            int(values[pair]) for values in (twins.row, twins.dataset, twins.other)
        )
        is_copy = columns[0]["audio_digest"][row] == columns[place]["audio_digest"][other]
        if is_copy or (row, place) == last:
            continue
        last = row, place
        # Rounded, since the last digits depend on the processor.
        yield Defect(NEAR_TWIN, row, round(float(twins.correlation[pair]), 4), (place, other))


def _unpitched(columns: Columns) -> Iterator[Defect]:
    """Yield the notes of one waveform that an instrument has at several pitches: it has none."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    keys = zip(columns["instrument_str"], columns["audio_digest"], strict=True)
    for row, key in enumerate(keys):
        groups[key].append(row)
    for rows in groups.values():
        num_pitches = len({columns["pitch"][row] for row in rows})
        if num_pitches > 1:
            for row in rows:
                other = rows[0] if row != rows[0] else rows[1]
                yield Defect(UNPITCHED, row, float(num_pitches), (0, other))


def _full_scale(columns: Columns) -> Iterator[Defect]:
    for row, peak in enumerate(columns["peak"]):
        if peak >= FULL_SCALE_PEAK:
            yield Defect(FULL_SCALE, row, float(peak), None)


def _shared_instruments(columns: Sequence[Columns], twins: Twins) -> Iterator[Defect]:
    """Yield each pair of instruments of which one has much of the other's audio.

    The row is that of the first note which they share; the value is the share of the notes at
    pitches that both have.
    """
    shared: dict[tuple[str, int, str], dict[int, int]] = defaultdict(dict)
    for row, place, other in zip(
        twins.row.tolist(), twins.dataset.tolist(), twins.other.tolist(), strict=True
    ):
        own, theirs = columns[0]["instrument_str"][row], columns[place]["instrument_str"][other]
        if own != theirs:
            shared[own, place, theirs].setdefault(row, other)
            if place == 0:
                shared[theirs, place, own].setdefault(other, row)
    pitches = [_pitches(others) for others in columns]
    for (own, place, theirs), pairs in shared.items():
        # Of two instruments of one data set the later name is a copy of the earlier one.
        if place == 0 and own < theirs:
            continue
        common = pitches[place][theirs]
        num = sum(count for pitch, count in pitches[0][own].items() if pitch in common)
        if len(pairs) >= MIN_SHARED_NOTES and len(pairs) >= MIN_SHARED * num:
            row = min(pairs)
            share = round(len(pairs) / num, 4)
            yield Defect(SHARED_INSTRUMENT, row, share, (place, pairs[row]))


def _pitches(columns: Columns) -> Mapping[str, Counter[int]]:
    """Return the number of notes by instrument and pitch."""
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for name, pitch in zip(columns["instrument_str"], columns["pitch"], strict=True):
        counts[name][pitch] += 1
    return counts


def _row(columns: Sequence[Columns], defect: Defect) -> dict[str, Any]:
    names = ("note_str", "instrument_str")
    own = {name: columns[0][name][defect.row] for name in (*names, "pitch")}
    fields = {"kind": defect.kind, "row": defect.row, "value": defect.value, **own}
    fields |= _source(columns[0]["source_file"][defect.row])
    if defect.other is None:
        return fields
    place, row = defect.other
    others = {name: columns[place][name][row] for name in names} | {"row": row}
    others |= _source(columns[place]["source_file"][row])
    return fields | {f"other_{name}": value for name, value in others.items()}


def _source(file: str) -> dict[str, str | None]:
    name = storage.name(file)
    official = named_split(name)
    return {"source": name, "split": official.name if official else None}
