"""Batches of notes for Keras, from samples on the device, in memory, or in the cache's file.

The order of the notes is a function of seed and epoch alone. On the device, samples are copied once
instead of once per epoch. TensorFlow does not report what is free there, so that its samples stay
in memory unless the environment says otherwise.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.architecture import Augmentation, Fitting
from pipelines.errors import ConfigError
from pipelines.notes import CLASSES
from pipelines.train.devices import available_bytes
from pipelines.train.model import backend
from pipelines.train.model.backend import BatchSource, keras
from pipelines.train.samples.augmentation import augment, batch_generator
from pipelines.train.samples.cache import SampleFile

# float32 [notes, num_samples]: a NumPy array, a `SampleFile`, or a tensor of the backend.
Samples = Any

# From fast to slow; of a file on disk the system keeps in memory what there is room for.
PLACES: Final = MappingProxyType(
    {"device": "on the device", "memory": "in memory", "map": "on disk, read as needed"}
)

# An environment variable that names one of `PLACES`, to override the choice.
VARIABLE: Final = "NSYNTH_SAMPLES"

# The share of free memory to use; the rest is for the model, whose activations take gigabytes.
_SHARE: Final = 0.5

# Batches between the prefetch of samples from a disk and their use.
_LOOKAHEAD: Final = 2

_PLAIN: Final = Fitting()

log = logging.getLogger(__name__)


def place_samples(audio: SampleFile | NDArray[np.float32]) -> Samples:
    """Copy samples to the fastest place where they fit.

    Args:
      audio: float32 [notes, num_samples].

    Raises:
      ConfigError: the environment names an unknown place, or one without room.
    """
    free = {"device": backend.free_device_bytes(), "memory": available_bytes()}
    place = _named_place(audio.nbytes, free) or best_place(audio.nbytes, free)
    log.debug("samples of %d notes, %.3g GB: %s", len(audio), audio.nbytes / 1e9, PLACES[place])
    if place == "device":
        return keras.ops.convert_to_tensor(np.asarray(audio))
    return np.array(audio) if place == "memory" else audio


def best_place(num_bytes: int, free: Mapping[str, int | None]) -> str:
    """Return the first of `PLACES` with room to spare.

    Args:
      free: bytes by place; None where there is no such place, or its memory is unknown.
    """
    fits = (
        place for place, room in free.items() if room is not None and num_bytes <= room * _SHARE
    )
    return next(fits, "map")


def gather(audio: Samples, rows: NDArray[np.int64]) -> Samples:
    """Return the samples of some notes, [len(rows), num_samples], in the same place."""
    if isinstance(audio, np.ndarray | SampleFile):
        return audio[rows]
    # JAX has no 64-bit numbers unless they are enabled.
    return keras.ops.take(audio, rows.astype(np.int32), axis=0)


def prefetch_rows(audio: Samples, rows: NDArray[np.int64]) -> None:
    """Let the system read samples of a file from disk, without waiting for them.

    Otherwise the reading of a note would start only after the note before it.
    """
    if isinstance(audio, SampleFile):
        audio.prefetch(rows)


def _named_place(num_bytes: int, free: Mapping[str, int | None]) -> str | None:
    """Return the place that the environment names, if any.

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


@dataclass(frozen=True, eq=False)
class Notes:
    """Some notes of a data set.

    Attributes:
      audio: float32 [all notes, num_samples]: a file, an array, or a tensor on the device.
      rows: int64 [num_notes], rows of these notes in `audio`.
      labels: int64 [num_notes], in [0, 10).
    """

    audio: Samples
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    @property
    def num_samples(self) -> int:
        """Return the number of samples per note."""
        return int(self.audio.shape[1])


def epoch_order(num_notes: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return a uniformly random permutation of the notes of an epoch.

    It depends only on the arguments: it is built from raw generator output, which NumPy keeps the
    same in all versions, not from shuffle(), which may change.

    Args:
      seed: from 0.
      epoch: counted from 0.

    Returns:
      int64 [num_notes].
    """
    numbers = np.random.PCG64(np.random.SeedSequence([seed, epoch])).random_raw(num_notes)
    return np.argsort(numbers, kind="stable")


class Batches(BatchSource):
    """Batches of notes for Keras's `fit` and `predict`, on every backend.

    They go to the training step unchanged. Those of a PyDataset would pass through a generator of
    tf.data on TensorFlow: off the device and on again, which takes 6 to 9 % of the time in which
    two cores train the preliminary model.

    Without a seed, notes keep their own order. With one, each epoch has its own permutation of all
    notes; Keras itself must not shuffle. No batch depends on workers or on earlier epochs.

    Args:
      fitting: makes labels probabilities where its loss needs them and, with a seed, augments.
    """

    def __init__(
        self,
        notes: Notes,
        *,
        batch_size: int,
        seed: int | None = None,
        fitting: Fitting = _PLAIN,
    ) -> None:
        self._notes = notes
        self._batch_size = batch_size
        self._seed = seed
        self._fitting = fitting
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Set the order of the notes for an epoch, counted from 0."""
        self._epoch = epoch
        num_notes = len(self._notes.rows)
        if self._seed is None:
            self._order = np.arange(num_notes)
        else:
            self._order = epoch_order(num_notes, seed=self._seed, epoch=epoch)

    @property
    def num_batches(self) -> int:
        """Return the number of batches per epoch; the last may be smaller."""
        return -(-len(self._notes.rows) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Samples, NDArray[Any]]:
        """Return batch `index`.

        Returns:
          float32 [batch, num_samples, 1], and labels int64 [batch] or float32 [batch, 10].
        """
        prefetch_rows(self._notes.audio, self._notes.rows[self._positions(index + _LOOKAHEAD)])
        positions = self._positions(index)
        audio = gather(self._notes.audio, self._notes.rows[positions])
        labels: NDArray[Any] = self._notes.labels[positions]
        if self._fitting.needs_probabilities:
            labels = np.eye(len(CLASSES), dtype=np.float32)[labels]
        if self._seed is not None and self._fitting.augmentation != Augmentation():
            random = batch_generator(seed=self._seed, epoch=self._epoch, batch=index)
            audio, labels = augment(
                keras.ops.convert_to_numpy(audio),
                labels,
                changes=self._fitting.augmentation,
                random=random,
            )
        # [batch, num_samples] -> [batch, num_samples, 1]
        return audio[:, :, np.newaxis], labels

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """Yield the batches of the epoch as the backend's tensors."""
        for index in range(self.num_batches):
            audio, labels = self[index]
            yield keras.ops.convert_to_tensor(audio), keras.ops.convert_to_tensor(labels)

    def get_tf_dataset(self) -> "Batches":
        """Return the batches that Keras iterates over once per epoch on TensorFlow."""
        return self

    def get_jax_iterator(self) -> Iterator[tuple[Any, Any]]:
        """Return the same on JAX."""
        return iter(self)

    def get_torch_dataloader(self) -> "Batches":
        """Return the same on PyTorch."""
        return self

    def _positions(self, index: int) -> NDArray[np.int64]:
        return self._order[index * self._batch_size : (index + 1) * self._batch_size]
