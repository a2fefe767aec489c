"""Notes in batches for Keras, in an order that is a function of seed and epoch alone."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.train.backend import keras

PyDataset: Final[Any] = keras.utils.PyDataset


@dataclass(frozen=True, eq=False)
class Notes:
    """Some notes of a data set.

    Attributes:
      audio: float32 [all notes, 8000], usually a memory map.
      rows: int64 [num_notes], where these notes stand in `audio`.
      labels: int64 [num_notes], in [0, 10).
    """

    audio: NDArray[np.float32]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]


class Batches(PyDataset):
    """Notes as Keras's `fit` and `predict` take them, on every backend.

    Without a seed they come in their own order. With one, each epoch has its own permutation of all
    notes; Keras itself must not shuffle. Nothing here depends on workers, or on earlier epochs.
    """

    def __init__(self, notes: Notes, *, batch_size: int, seed: int | None = None) -> None:
        super().__init__()
        self._notes = notes
        self._batch_size = batch_size
        self._seed = seed
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Arranges the notes for an epoch, counted from 0."""
        num_notes = len(self._notes.rows)
        if self._seed is None:
            self._order = np.arange(num_notes)
        else:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(num_notes)

    @property
    def num_batches(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return -(-len(self._notes.rows) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Batch `index`: float32 [batch, 8000, 1] and labels int64 [batch]."""
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        audio = self._notes.audio[self._notes.rows[chosen]]
        return audio[:, :, np.newaxis], self._notes.labels[chosen]
