"""Where samples stay while a model trains: on the device, in memory, or in the cache's file.

On the device they are copied once instead of once an epoch. TensorFlow does not tell what is free
there, so its samples stay in memory unless the environment says otherwise.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ConfigError
from pipelines.train.devices import available_bytes
from pipelines.train.model import backend
from pipelines.train.model.backend import BatchSource, keras
from pipelines.train.samples.cache import SampleFile

Samples = Any
"""float32 [notes, 8000]: a NumPy array, a `SampleFile`, or a tensor of the backend."""

PLACES: Final = MappingProxyType(
    {"device": "on the device", "memory": "in memory", "map": "on disk, read as needed"}
)
"""From fast to slow; of the last one the system keeps in memory what there is room for."""

VARIABLE: Final = "NSYNTH_SAMPLES"
"""The environment variable that names one of `PLACES`, for who knows better."""

_SHARE: Final = 0.5
"""Of what is free; the rest is for the model, whose activations take gigabytes."""

log = logging.getLogger(__name__)


def place_samples(audio: SampleFile | NDArray[np.float32]) -> Samples:
    """Brings samples to where they are read fastest, of the places where they fit.

    Args:
      audio: float32 [notes, 8000].

    Raises:
      ConfigError: the environment names a place that there is not, or one without room.
    """
    free = {"device": backend.free_device_bytes(), "memory": available_bytes()}
    place = _named_place(audio.nbytes, free) or best_place(audio.nbytes, free)
    log.info("samples of %d notes, %.3g GB: %s", len(audio), audio.nbytes / 1e9, PLACES[place])
    if place == "device":
        return backend.keras.ops.convert_to_tensor(np.asarray(audio))
    return np.array(audio) if place == "memory" else audio


def best_place(num_bytes: int, free: Mapping[str, int | None]) -> str:
    """The first of `PLACES` with room to spare.

    Args:
      free: bytes by place; None where there is no such place, or nobody knows.
    """
    fits = (
        place for place, room in free.items() if room is not None and num_bytes <= room * _SHARE
    )
    return next(fits, "map")


def gather(audio: Samples, rows: NDArray[np.int64]) -> Samples:
    """Samples of some notes, [len(rows), 8000], where they are."""
    if isinstance(audio, np.ndarray | SampleFile):
        return audio[rows]
    # JAX has no 64-bit numbers unless it is told to.
    return backend.keras.ops.take(audio, rows.astype(np.int32), axis=0)


def prefetch_rows(audio: Samples, rows: NDArray[np.int64]) -> None:
    """Has the system read samples of a file from disk, and does not wait.

    Without it a note is asked for when the one before it has come.
    """
    if isinstance(audio, SampleFile):
        audio.prefetch(rows)


def _named_place(num_bytes: int, free: Mapping[str, int | None]) -> str | None:
    """The place that the environment names, if any.

    Raises:
      ConfigError: there is no such place, or no room in it.
    """
    named = os.environ.get(VARIABLE) or None
    if named is None:
        return None
    if named not in PLACES:
        raise ConfigError(f"{VARIABLE} must be one of {', '.join(PLACES)}, got {named!r}")
    room = free.get(named)
    if room is not None and num_bytes > room:
        raise ConfigError(
            f"{VARIABLE}={named} needs {num_bytes / 1e9:.3g} GB, where {room / 1e9:.3g} GB are "
            "free; name another place, or none"
        )
    return named


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
        prefetch_rows(self._notes.audio, self._notes.rows[self._chosen(index + _LOOKAHEAD)])
        chosen = self._chosen(index)
        # [batch, 8000] -> [batch, 8000, 1]
        audio = gather(self._notes.audio, self._notes.rows[chosen])[:, :, np.newaxis]
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
