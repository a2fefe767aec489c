"""A model's answer for each scored note: the table that every figure follows from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.errors import DatasetError, ShardError
from pipelines.notes import CLASSES
from pipelines.parquet import open_parquet

EVALUATION_VERSION: Final = 3
"""Raised whenever predictions or metrics of the same model would change; retrains nothing."""

STAMP_KEY: Final = b"nsynth_flows"
"""Where predictions.parquet says, in its metadata, its version and which model gave them."""

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
"""`instrument_seen`: whether the notes that trained the model have one of the same instrument.
`fold`: in the protocol `grouped`, the fold that the note is in, from 1; its model trained without
it. Null elsewhere."""

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
        """Some of the notes, by a mask or by their positions."""
        return Predictions(**{of.name: getattr(self, of.name)[notes] for of in fields(self)})

    @property
    def num_classes(self) -> int:
        """Classes that the model tells apart."""
        return int(self.probabilities.shape[1])

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the likeliest class is the true one."""
        return np.asarray(self.label == self.predicted)

    @property
    def instrument(self) -> NDArray[np.int64]:
        """Each note's instrument, numbered from 0 by name without gaps."""
        return np.unique(self.instrument_str.astype(str), return_inverse=True)[1].astype(np.int64)


def from_table(table: pa.Table) -> Predictions:
    """The arrays of a predictions table; columns that are not in the schema are left alone.

    Raises:
      DatasetError: a column is missing, or a label or a probability cannot be one.
    """
    if missing := [name for name in PREDICTIONS_SCHEMA.names if name not in table.column_names]:
        raise DatasetError(f"the predictions have no {', '.join(missing)}; {_AGAIN}")
    table = table.sort_by("row")
    lists = table["probabilities"].combine_chunks()
    shape = (table.num_rows, lists.type.list_size)
    probabilities = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(shape)
    texts = ("note_str", "instrument_str", "instrument_source_str", "audio_digest")
    numbers = ("row", "instrument_seen", "pitch", "velocity", "label", "predicted")
    found = Predictions(
        **{name: np.array(table[name].to_pylist(), object) for name in texts},
        **{name: table[name].to_numpy() for name in numbers},
        kept=np.asarray(table["verdict"].is_null()),
        probabilities=probabilities,
    )
    _check(found)
    return found


def load_predictions(uri: str) -> Predictions:
    """Reads a stored predictions.parquet.

    Raises:
      ConfigError: there is none.
      ShardError: it is damaged.
      DatasetError: it is of another version, or see `from_table`.
    """
    try:
        with open_parquet(uri) as file:
            table = file.read()
    except ShardError as err:
        raise ShardError(f"{err}; {_AGAIN}") from err
    found = _version(table)
    if found != EVALUATION_VERSION:
        raise DatasetError(
            f"expected evaluation_version {EVALUATION_VERSION} in {uri}, found {found!r}; {_AGAIN}"
        )
    return from_table(table)


def _version(table: pa.Table) -> Any:
    """The evaluation_version that wrote the table; None where it does not say."""
    try:
        return json.loads(table.schema.metadata[STAMP_KEY])["evaluation_version"]
    except (TypeError, KeyError, ValueError):
        return None


def _check(found: Predictions) -> None:
    classes: Sequence[NDArray[np.int64]] = (found.label, found.predicted)
    if any(((of < 0) | (of >= found.num_classes)).any() for of in classes):
        raise DatasetError(
            f"expected labels and predicted classes from 0 to {found.num_classes - 1} "
            f"in the predictions, found others; {_AGAIN}"
        )
    if not np.isfinite(found.probabilities).all():
        raise DatasetError(f"the predictions hold probabilities that are not finite; {_AGAIN}")
