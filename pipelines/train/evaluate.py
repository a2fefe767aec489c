"""Scores a trained model on test notes: every one that has a label, or none."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.errors import DatasetError
from pipelines.evaluate.predictions import PREDICTIONS_SCHEMA
from pipelines.notes import CLASSES
from pipelines.train.backend import keras
from pipelines.train.batches import Batches, Notes
from pipelines.train.fit import memory_explained


def predict(model: keras.Model, notes: Notes, *, batch_size: int) -> NDArray[np.float32]:
    """The probabilities of each class for each note.

    Returns:
      float32 [num_notes, 10].

    Raises:
      DatasetError: the model answered for another number of notes, or with no probabilities.
      ConfigError: memory does not suffice for the batch size.
    """
    with memory_explained(model.name, batch_size):
        batches = Batches(notes, batch_size=batch_size)
        probabilities = np.asarray(model.predict(batches, verbose=0), np.float32)
    check_complete(probabilities, num_notes=len(notes.rows), model=model.name)
    return probabilities


def check_complete(probabilities: NDArray[np.float32], *, num_notes: int, model: str) -> None:
    """Refuses an evaluation that is not of every note.

    Raises:
      DatasetError: see `predict`.
    """
    if probabilities.shape != (num_notes, len(CLASSES)):
        raise DatasetError(
            f"expected {num_notes} predictions of {len(CLASSES)} classes from {model}, "
            f"got {' x '.join(map(str, probabilities.shape))}; no part of the test notes is scored"
        )
    if broken := int((~np.isfinite(probabilities)).any(axis=1).sum()):
        raise DatasetError(
            f"{model} gave no finite probabilities for {broken} of {num_notes} test notes"
        )


def predictions_table(notes: pa.Table, probabilities: NDArray[np.float32]) -> pa.Table:
    """The rows of predictions.parquet.

    Args:
      notes: the columns that do not depend on a model, see `pipelines.train.data.scorable_notes`.
      probabilities: float32 [notes.num_rows, 10].
    """
    flat = pa.array(probabilities.reshape(-1), pa.float32())
    listed = pa.FixedSizeListArray.from_arrays(
        flat, type=PREDICTIONS_SCHEMA.field("probabilities").type
    )
    predicted = pa.array(probabilities.argmax(axis=1), pa.int64())
    table = notes.append_column("predicted", predicted).append_column("probabilities", listed)
    return table.select(PREDICTIONS_SCHEMA.names).cast(PREDICTIONS_SCHEMA)
