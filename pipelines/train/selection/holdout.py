"""The notes of the gate among those of a run: which they are to be, and that none of them trains.

Where validation chooses nothing, the gate is the validation part of the first run, and gated notes
of later runs change places with others: all runs then train on as many notes. Elsewhere the gate
is whole instruments, which neither train nor validate.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.shards import encode
from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError, PipelineError
from pipelines.experiment import Experiment
from pipelines.notes import FAMILIES
from pipelines.parquet import table_digest
from pipelines.registry.holdout import Holdout, current_holdout, freeze_holdout
from pipelines.train.selection.run_notes import KEPT_OUT_SCHEMA, load_kept_out
from pipelines.train.selection.split import (
    NO_LABEL,
    Indices,
    class_labels,
    draw_groups,
    group_notes,
    split,
)
from pipelines.validate.rules import LEAKED
from pipelines.validate.verdicts import Validation, load_reasons

HoldoutMode = Literal["off", "respect", "freeze"]
"""Whether a run knows of no gate, keeps out the one that there is, or makes one where none is."""

HOLDOUT_FRACTION: Final = 0.1
"""Part of each family's notes that whole instruments of the gate hold at least."""

log = logging.getLogger(__name__)

Reasons = Mapping[str, Sequence[str | None]]


def run_holdout(
    sides: Mapping[str, Validation],
    reasons: Reasons,
    *,
    experiment: Experiment,
    root: str,
    gating: HoldoutMode,
) -> Holdout | None:
    """The gate that a run has to respect; frozen here where that is asked for and none is.

    Args:
      sides: the data sets `train` and, in the protocol `official`, `valid`.
      reasons: why each of their notes is left out so far.
    """
    if gating == "off" or experiment.protocol == "grouped":
        return None
    found = current_holdout(root)
    if found is not None or gating == "respect":
        return found
    side = sides["train"]
    notes = open_dataset(side.manifest_uri).read(
        ["instrument_family", "instrument_str", "audio_digest"]
    )
    labels = class_labels(notes["instrument_family"].to_numpy())
    rows = _usable(labels, reasons["train"])
    if not experiment.keeps_best_epoch:
        _, held = split(labels[rows], experiment.validation_fraction, experiment.seed)
        return freeze_holdout(root, side.manifest_uri, rows[held], holds_instruments=False)
    names = (np.array(notes[of].to_pylist(), str) for of in ("instrument_str", "audio_digest"))
    groups = group_notes(*names)[rows]
    try:
        held = draw_groups(labels[rows], groups, fraction=HOLDOUT_FRACTION, seed=experiment.seed)
    except DatasetError as err:
        log.warning("there is no gate, and nothing will be promoted by itself: %s", err)
        return None
    return freeze_holdout(root, side.manifest_uri, rows[held], holds_instruments=True)


def holdout_rows(side: Validation, reasons: Sequence[str | None], gate: Holdout) -> Indices:
    """The rows of a data set that could train or validate and that the gate holds."""
    notes = open_dataset(side.manifest_uri).read(
        ["instrument_family", "instrument_str", "audio_digest"]
    )
    held = gate.holds(notes["audio_digest"].to_pylist(), notes["instrument_str"].to_pylist())
    rows = _usable(class_labels(notes["instrument_family"].to_numpy()), reasons)
    return rows[held[rows]]


def would_train(
    side: Validation, reasons: Sequence[str | None], gated: Indices, experiment: Experiment
) -> bool:
    """Whether a split that knows of no gate would train on one of its notes."""
    families = open_dataset(side.manifest_uri).read(["instrument_family"])["instrument_family"]
    labels = class_labels(families.to_numpy())
    rows = _usable(labels, reasons)
    train, _ = split(labels[rows], experiment.validation_fraction, experiment.seed)
    return bool(np.isin(rows[train], gated).any())


def swap_with_validation(
    labels: NDArray[np.int64], train: Indices, validation: Indices, *, gated: Indices, seed: int
) -> tuple[Indices, Indices]:
    """Lets gated notes validate, and as many others of their class train in their places.

    Args:
      labels: int64 [num_notes], of all notes of the data set.
      train: rows that would train.
      validation: rows that would validate.
      gated: rows of the gate.
      seed: which of the others train.

    Returns:
      Rows that train and rows that validate, ascending. Where a class has too few others, fewer of
      its notes train.
    """
    leaving = train[np.isin(train, gated)]
    others = validation[~np.isin(validation, gated)]
    numbers = np.random.PCG64(np.random.SeedSequence([seed, len(others)])).random_raw(len(others))
    others = others[np.argsort(numbers, kind="stable")]
    coming = [
        others[labels[others] == label][: np.count_nonzero(labels[leaving] == label)]
        for label in np.unique(labels[leaving])
    ]
    came = np.concatenate([*coming, np.empty(0, np.int64)])
    stays = train[~np.isin(train, leaving)]
    waits = validation[~np.isin(validation, came)]
    return np.sort(np.concatenate([stays, came])), np.sort(np.concatenate([waits, leaving]))


def _usable(labels: NDArray[np.int64], reasons: Sequence[str | None]) -> Indices:
    kept = np.array([reason is None for reason in reasons], bool)
    return np.flatnonzero(kept & (labels != NO_LABEL))


def leaked_notes(name: str, sides: dict[str, Validation]) -> pa.Table:
    """The notes of a data set whose audio a later one holds, with their row and their family."""
    names = list(sides)
    later = [sides[other] for other in names[names.index(name) + 1 :]]
    scoring = [
        audio_digest
        for side in later
        for audio_digest in open_dataset(side.manifest_uri)
        .read(["audio_digest"])["audio_digest"]
        .to_pylist()
    ]
    side = sides[name]
    notes = open_dataset(side.manifest_uri).read(
        ["note_str", "audio_digest", "instrument_family_str"]
    )
    reasons = mark_leaked(notes["audio_digest"].to_pylist(), load_reasons(side), scoring)
    rows = pa.array([row for row, reason in enumerate(reasons) if reason == LEAKED], pa.int64())
    return _with_place(notes.take(rows), name, rows)


def holdout_notes(
    sides: dict[str, Validation],
    leaks: dict[str, pa.Table],
    *,
    experiment: Experiment,
    root: str,
    gating: HoldoutMode,
) -> tuple[str | None, dict[str, pa.Table]]:
    """The gate, and which notes of each data set it keeps; nothing where that changes nothing."""
    if gating == "off":
        return None, {}
    reasons = {name: load_reasons(sides[name]) for name in leaks}
    for name, table in leaks.items():
        for row in table["row"].to_pylist():
            reasons[name][row] = LEAKED
    gate = run_holdout(sides, reasons, experiment=experiment, root=root, gating=gating)
    if gate is None:
        return None, {}
    rows = {name: holdout_rows(sides[name], reasons[name], gate) for name in leaks}
    if not any(map(len, rows.values())):
        return None, {}
    if not experiment.keeps_best_epoch and not would_train(
        sides["train"], reasons["train"], rows["train"], experiment
    ):
        return None, {}
    columns = ["note_str", "audio_digest", "instrument_family_str"]
    return gate.digest, {
        name: _with_place(
            open_dataset(sides[name].manifest_uri).read(columns).take(pa.array(of)), name, of
        )
        for name, of in rows.items()
    }


def store_notes(uri: str, tables: dict[str, pa.Table]) -> int:
    """Store which notes are kept out, in place of others that are stored; return how many."""
    found = pa.concat_tables([table.select(KEPT_OUT_SCHEMA.names) for table in tables.values()])
    data = encode(found)
    if not storage.create(uri, data) and not _is_stored(uri, found):
        storage.put(uri, data)
    return int(found.num_rows)


def _is_stored(uri: str, notes: pa.Table) -> bool:
    try:
        if table_digest(load_kept_out(uri)) == table_digest(notes):
            return True
        log.warning("%s does not hold the notes that are kept out; it is written again", uri)
    except PipelineError as err:
        log.warning("%s", err)
    return False


def exclude(side: Validation, reason: str, table: pa.Table) -> Validation:
    """The verdicts with these notes moved from the kept ones to the dropped ones."""
    if not table.num_rows:
        return side
    kept = Counter(side.families)
    kept.subtract(table["instrument_family_str"].to_pylist())
    return replace(
        side,
        num_kept=side.num_kept - table.num_rows,
        dropped=side.dropped | {reason: table.num_rows},
        families={family: kept[family] for family in FAMILIES if kept[family]},
    )


def _with_place(notes: pa.Table, name: str, rows: pa.Array | Indices) -> pa.Table:
    """Notes of a data set, with what tells which they are."""
    found = notes.add_column(0, KEPT_OUT_SCHEMA.field("row"), [rows])
    names = pa.array([name] * len(rows), pa.string())
    return found.add_column(0, KEPT_OUT_SCHEMA.field("dataset"), [names])


def mark_leaked(
    train_digests: Sequence[str], train_reasons: Sequence[str | None], test_digests: Sequence[str]
) -> list[str | None]:
    """Adds the reason `leaked` to the training notes that occur among the test notes.

    Args:
      train_digests: digest of each training note's original samples.
      train_reasons: why each is left out so far, None where it is kept; an earlier reason stays.
      test_digests: digests of all test notes, kept or not.

    Returns:
      One reason a training note.
    """
    tested = set(test_digests)
    return [
        LEAKED if reason is None and digest in tested else reason
        for digest, reason in zip(train_digests, train_reasons, strict=True)
    ]
