"""Notes in batches for Keras, in an order that is a function of seed and epoch alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.train.backend import BatchSource, keras
from pipelines.train.residence import Samples, foresee, take

_LOOKAHEAD: Final = 2
"""Batches between the announcement of samples to a disk and their use."""


@dataclass(frozen=True, eq=False)
class Notes:
    """Some notes of a data set.

    Attributes:
      audio: float32 [all notes, 8000]: a file, an array, or a tensor on the device.
      rows: int64 [num_notes], where these notes stand in `audio`.
      labels: int64 [num_notes], in [0, 10).
    """

    audio: Samples
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]


def epoch_order(num_notes: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of the notes in an epoch: each permutation of all notes is as likely as another.

    A function of its arguments alone, also with another version of NumPy, which keeps the raw
    numbers of its generators for ever, but not how it shuffles.

    Args:
      seed: from 0.
      epoch: counted from 0.

    Returns:
      int64 [num_notes], each of 0 to num_notes - 1 once.
    """
    numbers = np.random.PCG64(np.random.SeedSequence([seed, epoch])).random_raw(num_notes)
    return np.argsort(numbers, kind="stable")


class Batches(BatchSource):
    """Notes as Keras's `fit` and `predict` take them, on every backend.

    They go to the training step as they are. A PyDataset's would pass through a generator of
    tf.data on TensorFlow: off the device and on again, and with six to nine hundredths of the time
    in which two cores train the preliminary model.

    Without a seed they come in their own order. With one, each epoch has its own permutation of all
    notes; Keras itself must not shuffle. Nothing here depends on workers, or on earlier epochs: any
    batch of any epoch can be had at once.
    """

    def __init__(self, notes: Notes, *, batch_size: int, seed: int | None = None) -> None:
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
            self._order = epoch_order(num_notes, seed=self._seed, epoch=epoch)

    @property
    def num_batches(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return -(-len(self._notes.rows) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Samples, NDArray[np.int64]]:
        """Batch `index`: float32 [batch, 8000, 1] and labels int64 [batch]."""
        foresee(self._notes.audio, self._notes.rows[self._chosen(index + _LOOKAHEAD)])
        chosen = self._chosen(index)
        # [batch, 8000] -> [batch, 8000, 1]
        audio = take(self._notes.audio, self._notes.rows[chosen])[:, :, np.newaxis]
        return audio, self._notes.labels[chosen]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """The batches of the epoch, as the backend's tensors."""
        for index in range(self.num_batches):
            audio, labels = self[index]
            yield keras.ops.convert_to_tensor(audio), keras.ops.convert_to_tensor(labels)

    def get_tf_dataset(self) -> "Batches":
        """What Keras iterates over once an epoch on TensorFlow."""
        return self

    def get_jax_iterator(self) -> Iterator[tuple[Any, Any]]:
        """The same on JAX."""
        return iter(self)

    def get_torch_dataloader(self) -> "Batches":
        """The same on PyTorch."""
        return self

    def _chosen(self, index: int) -> NDArray[np.int64]:
        return self._order[index * self._batch_size : (index + 1) * self._batch_size]
