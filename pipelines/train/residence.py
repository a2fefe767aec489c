"""Where samples stay while a model trains: on the device, in memory, or in the cache's file.

On the device they are copied once instead of once an epoch. TensorFlow does not tell what is free
there, so its samples stay in memory unless the environment says otherwise.
"""

import logging
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ConfigError
from pipelines.train import backend
from pipelines.train.blocks import SampleFile
from pipelines.train.memory import available_bytes

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


def settle(audio: SampleFile | NDArray[np.float32]) -> Samples:
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


def take(audio: Samples, rows: NDArray[np.int64]) -> Samples:
    """Samples of some notes, [len(rows), 8000], where they are."""
    if isinstance(audio, np.ndarray | SampleFile):
        return audio[rows]
    # JAX has no 64-bit numbers unless it is told to.
    return backend.keras.ops.take(audio, rows.astype(np.int32), axis=0)


def foresee(audio: Samples, rows: NDArray[np.int64]) -> None:
    """Has the system read samples of a file from disk, and does not wait.

    Without it a note is asked for when the one before it has come.
    """
    if isinstance(audio, SampleFile):
        audio.announce(rows)


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
