"""The notes of a run, notes.parquet: what each note does in the run, and why.

The table is written when the run is planned. All that need to know which notes train, validate, are
scored or are dropped read it; nothing works it out a second time.
"""

import logging
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from pipelines.errors import ConfigError, DatasetError, PipelineError
from pipelines.layout import HELD_OUT_NOTES, LEAKED_NOTES, RUN_NOTES, TRAINED
from pipelines.parquet import encode, read_table, table_digest
from pipelines.validate.rules import HELD_OUT, LEAKED

# `dataset` is train, valid or test; `row` is a position in that data set. `part` is train, valid,
# test, holdout or dropped. `fold` names the training that a row is about, by the fold which it
# leaves out; it is null in protocols without folds. `reason` says why a note is dropped; a scored
# note has its verdict there, and a note of the held-out set that validates has "gate".
RUN_NOTES_SCHEMA: Final = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("note_str", pa.string(), nullable=False),
        pa.field("instrument_str", pa.string(), nullable=False),
        pa.field("audio_digest", pa.string(), nullable=False),
        pa.field("label", pa.int64()),
        pa.field("part", pa.string(), nullable=False),
        pa.field("fold", pa.int64()),
        pa.field("reason", pa.string()),
    ]
)


_OLD_DROPPED: Final = ((LEAKED_NOTES, LEAKED, "dropped"), (HELD_OUT_NOTES, HELD_OUT, "holdout"))
_AGAIN: Final = "run the same training again"
_TRAIN_AGAIN: Final = "train it again: nsynth retrain --force train"

log = logging.getLogger(__name__)


def store_run_notes(run_uri: str, notes: pa.Table) -> str:
    """Store the notes of a run unless the same ones are stored; return their digest."""
    uri, digest = storage.join(run_uri, RUN_NOTES), table_digest(notes)
    data = encode(notes)
    if not storage.create(uri, data):
        try:
            load_run_notes(run_uri, digest=digest)
        except PipelineError as err:
            log.warning("%s; it is written again", err)
            storage.put(uri, data)
    return digest


def load_run_notes(run_uri: str, *, digest: str | None = None) -> pa.Table:
    """Read the notes of a run, with the columns of `RUN_NOTES_SCHEMA`.

    A run that an older version planned has no such table. For it the table holds the notes that
    leaked or are held out, which the run stores in files of their own.

    Args:
      digest: digest that the table should have, where it is known.

    Raises:
      ShardError: the table is damaged.
      DatasetError: it has another digest.
    """
    uri = storage.join(run_uri, RUN_NOTES)
    if digest is None and not storage.exists(uri):
        return _old_notes(run_uri)
    notes = read_table(uri, RUN_NOTES_SCHEMA, mend=_AGAIN).replace_schema_metadata(None)
    if digest not in (None, table_digest(notes)):
        raise DatasetError(f"{uri} does not hold the notes of this run; {_AGAIN}")
    return notes


def select_notes(
    notes: pa.Table, *, part: str, dataset: str | None = None, fold: int | None = None
) -> pa.Table:
    """Return the notes of one part, ordered by row.

    Args:
      dataset: role of the data set; any by default.
      fold: of the training; None selects the rows that have none.
    """
    wanted = pc.equal(notes["part"], part)
    is_fold = pc.is_null(notes["fold"]) if fold is None else pc.equal(notes["fold"], fold)
    wanted = pc.and_kleene(wanted, is_fold)
    if dataset is not None:
        wanted = pc.and_kleene(wanted, pc.equal(notes["dataset"], dataset))
    return notes.filter(wanted).sort_by("row")


def load_trained_notes(model_uri: str) -> pa.Table:
    """Read which notes trained a model or chose its epoch; `part` is train or valid.

    Args:
      model_uri: folder of a model in its run.

    Returns:
      At least the columns dataset, row, part, instrument_str and audio_digest.

    Raises:
      ConfigError: the run does not say so, as is the case with folds.
    """
    old = storage.join(model_uri, TRAINED)
    if storage.exists(old):
        # Written beside the model by an older version, when it trained.
        names = ["dataset", "row", "part", "instrument_str", "audio_digest"]
        notes = read_table(old, RUN_NOTES_SCHEMA, columns=names, mend=_TRAIN_AGAIN)
        part = pc.replace_substring(notes["part"], "validation", "valid")
        return notes.set_column(2, RUN_NOTES_SCHEMA.field("part"), part)
    notes = load_run_notes(storage.parent(model_uri))
    parts = [select_notes(notes, part=part) for part in ("train", "valid")]
    if not parts[0].num_rows:
        raise ConfigError(
            f"there is no {old}, which says what the model trained on; {_TRAIN_AGAIN}"
        )
    return pa.concat_tables(parts)


def load_notes_by_reason(run_uri: str, reason: str) -> pa.Table:
    """Read which training and validation notes a run drops for a reason of its own."""
    notes = load_run_notes(run_uri)
    is_dropped = pc.is_in(notes["part"], pa.array(["dropped", "holdout"]))
    return notes.filter(pc.and_kleene(is_dropped, pc.equal(notes["reason"], reason)))


def holds_out_notes(run_uri: str) -> bool:
    """Return whether a run kept notes of the held-out set from training."""
    reasons = load_run_notes(run_uri)["reason"].unique()
    return HELD_OUT in reasons.to_pylist()


def _old_notes(run_uri: str) -> pa.Table:
    tables = [RUN_NOTES_SCHEMA.empty_table()]
    columns = ["dataset", "row", "note_str", "audio_digest"]
    for name, reason, part in _OLD_DROPPED:
        uri = storage.join(run_uri, name)
        if storage.exists(uri):
            old = read_table(uri, RUN_NOTES_SCHEMA, columns=columns, mend=_AGAIN)
            num = old.num_rows
            values = {field.name: pa.nulls(num, field.type) for field in RUN_NOTES_SCHEMA}
            values |= {column: old[column] for column in columns}
            values |= {"instrument_str": [""] * num, "part": [part] * num, "reason": [reason] * num}
            tables.append(pa.table(values, schema=RUN_NOTES_SCHEMA))
    return pa.concat_tables(tables)
