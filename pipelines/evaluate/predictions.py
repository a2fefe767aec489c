"""The table of a model's predictions for each scored note, from which every figure follows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.errors import DatasetError, ShardError
from pipelines.notes import CLASSES
from pipelines.parquet import check_columns, open_parquet, table_digest
from pipelines.records import parse

# Raised whenever predictions or metrics of the same model would change; retrains nothing.
EVALUATION_VERSION: Final = 3

# Key of the metadata of predictions.parquet that hold its version and the digest of its model.
STAMP_KEY: Final = b"nsynth_flows"

# Columns that predictions copy from the data set.
NOTE_COLUMNS: Final = (
    "note_str",
    "instrument",
    "instrument_str",
    "instrument_source",
    "instrument_source_str",
    "pitch",
    "velocity",
    "audio_digest",
)

# `instrument_seen`: whether the notes that trained the model have one of the same instrument.
# `fold`: in the protocol `grouped`, the fold that the note is in, from 1; its model trained without
# it. Null in other protocols.
PREDICTIONS_SCHEMA: Final = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("note_str", pa.string(), nullable=False),
        pa.field("instrument", pa.int64(), nullable=False),
        pa.field("instrument_str", pa.string(), nullable=False),
        pa.field("instrument_source", pa.int64(), nullable=False),
        pa.field("instrument_source_str", pa.string(), nullable=False),
        pa.field("instrument_seen", pa.bool_(), nullable=False),
        pa.field("pitch", pa.int64(), nullable=False),
        pa.field("velocity", pa.int64(), nullable=False),
        pa.field("audio_digest", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("predicted", pa.int64(), nullable=False),
        pa.field("verdict", pa.string()),
        pa.field("fold", pa.int64()),
        pa.field(
            "probabilities",
            pa.list_(pa.field("element", pa.float32(), nullable=False), len(CLASSES)),
            nullable=False,
        ),
    ]
)

_AGAIN: Final = "run the same training again, which scores again and retrains nothing"

Texts = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Predictions:
    """The columns as arrays, ordered by row; each is of [num_notes].

    Attributes:
      row: the note's place in the data set that was scored.
      kept: False where validation flagged the note as defective.
      label: the true class.
      predicted: the class with the highest probability.
      probabilities: float64 [num_notes, num_classes].
    """

    row: NDArray[np.int64]
    note_str: Texts
    instrument_str: Texts
    instrument_source_str: Texts
    instrument_seen: NDArray[np.bool_]
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]
    audio_digest: Texts
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    kept: NDArray[np.bool_]
    probabilities: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, notes: NDArray[Any]) -> "Predictions":
        """Return some of the notes, by a mask or by their positions."""
        return Predictions(**{name: getattr(self, name)[notes] for name in _COLUMNS})

    @property
    def num_classes(self) -> int:
        """Return the number of classes that the model distinguishes."""
        return int(self.probabilities.shape[1])

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Return whether the likeliest class is the true one, bool [num_notes]."""
        return np.asarray(self.label == self.predicted)

    @property
    def instrument(self) -> NDArray[np.int64]:
        """Return the instrument of each note, numbered from 0 by name, int64 [num_notes]."""
        return np.unique(self.instrument_str.astype(str), return_inverse=True)[1].astype(np.int64)


_COLUMNS: Final = tuple(column.name for column in fields(Predictions))


def predictions_table(notes: pa.Table, probabilities: NDArray[np.float32]) -> pa.Table:
    """Return the rows of predictions.parquet.

    Args:
      notes: the columns of the schema that do not depend on a model.
      probabilities: float32 [notes.num_rows, 10].
    """
    flat = pa.array(probabilities.reshape(-1), pa.float32())
    kind = PREDICTIONS_SCHEMA.field("probabilities").type
    predicted = pa.array(probabilities.argmax(axis=1), pa.int64())
    table = notes.append_column("predicted", predicted)
    table = table.append_column("probabilities", pa.FixedSizeListArray.from_arrays(flat, type=kind))
    return table.select(PREDICTIONS_SCHEMA.names).cast(PREDICTIONS_SCHEMA)


def add_stamp(table: pa.Table, models: Sequence[str]) -> pa.Table:
    """Return predictions with their version, models and digest in the metadata.

    Args:
      models: the SHA-256 of each model.keras that gave them.
    """
    stamp = {
        "evaluation_version": EVALUATION_VERSION,
        "models": list(models),
        "digest": predictions_digest(table),
    }
    return table.replace_schema_metadata({STAMP_KEY: json.dumps(stamp)})


def predictions_digest(table: pa.Table) -> str:
    """Return the digest of the columns of the schema."""
    return table_digest(table.select(PREDICTIONS_SCHEMA.names))


def read_stamp(table: pa.Table) -> Mapping[str, Any]:
    """Return the metadata that `add_stamp` added; empty where there is none."""
    try:
        return parse((table.schema.metadata or {}).get(STAMP_KEY, b""))
    except ValueError:
        return {}


def from_table(table: pa.Table, *, name: str = "the predictions") -> Predictions:
    """Return the arrays of a predictions table; columns that are not in the schema are left alone.

    Args:
      name: what an error calls it.

    Raises:
      DatasetError: a column is missing or of another type, or a value cannot be one.
    """
    _check_table(table, name)
    table = table.sort_by("row")
    lists = table["probabilities"].combine_chunks()
    shape = (table.num_rows, lists.type.list_size)
    probabilities = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(shape)
    texts = ("note_str", "instrument_str", "instrument_source_str", "audio_digest")
    numbers = ("row", "instrument_seen", "pitch", "velocity", "label", "predicted")
    predictions = Predictions(
        **{name: np.array(table[name].to_pylist(), object) for name in texts},
        **{name: table[name].to_numpy() for name in numbers},
        kept=np.asarray(table["verdict"].is_null()),
        probabilities=probabilities,
    )
    _check(predictions, name)
    return predictions


def load_predictions(uri: str, *, digest: str | None = None) -> Predictions:
    """Read a stored predictions.parquet.

    Args:
      digest: in the record of its run; None where it has none.

    Raises:
      ConfigError: there is none.
      ShardError: it is damaged.
      DatasetError: it is of another version, was changed, or see `from_table`.
    """
    return from_table(read_predictions(uri, digest=digest), name=uri)


def read_predictions(uri: str, *, digest: str | None = None) -> pa.Table:
    """Read a stored predictions.parquet as a table; see `load_predictions`."""
    try:
        with open_parquet(uri) as file:
            table = file.read()
    except ShardError as err:
        raise ShardError(f"{err}; {_AGAIN}") from err
    stamp = read_stamp(table)
    version = stamp.get("evaluation_version")
    if version != EVALUATION_VERSION:
        raise DatasetError(
            f"expected evaluation_version {EVALUATION_VERSION} in {uri}, found {version!r}; "
            f"{_AGAIN}"
        )
    _check_table(table, uri)
    # Predictions of earlier versions have no digest of their own.
    if {digest, stamp.get("digest")} - {None, predictions_digest(table)}:
        raise DatasetError(f"{uri} was changed after it was written; {_AGAIN}")
    return table


def _check_table(table: pa.Table, name: str) -> None:
    scalars = PREDICTIONS_SCHEMA.names[:-1]
    try:
        check_columns(table.schema, PREDICTIONS_SCHEMA, scalars, name)
    except ShardError as err:
        raise DatasetError(f"{err}; {_AGAIN}") from err
    place = table.schema.get_field_index("probabilities")
    if place < 0:
        raise DatasetError(f"{name} has no column probabilities; {_AGAIN}")
    kind = table.schema.field(place).type
    # The number of classes is that of the run.
    if not (pa.types.is_fixed_size_list(kind) and kind.value_type == pa.float32()):
        raise DatasetError(f"{name} should have a list of probabilities in each row; {_AGAIN}")
    for field in PREDICTIONS_SCHEMA:
        if not field.nullable and table[field.name].null_count:
            raise DatasetError(f"{name} has a row without {field.name}; {_AGAIN}")


def _check(predictions: Predictions, name: str) -> None:
    classes: Sequence[NDArray[np.int64]] = (predictions.label, predictions.predicted)
    last = predictions.num_classes - 1
    if any(((values < 0) | (values > last)).any() for values in classes):
        raise DatasetError(
            f"expected labels and predicted classes from 0 to {last} "
            f"in {name}, found others; {_AGAIN}"
        )
    if not np.isfinite(predictions.probabilities).all():
        raise DatasetError(f"{name} holds probabilities that are not finite; {_AGAIN}")
    if len(np.unique(predictions.row)) < len(predictions):
        raise DatasetError(f"{name} holds a note twice; {_AGAIN}")
    # A tie has several likeliest classes.
    probabilities = predictions.probabilities
    given = probabilities[np.arange(len(predictions)), predictions.predicted]
    if num := int((given < probabilities.max(axis=1)).sum()):
        raise DatasetError(
            f"{name} names a class that is not the likeliest for {num} of "
            f"{len(predictions)} notes; {_AGAIN}"
        )
