"""What of a note may tell its family: its pitch, velocity, source, qualities and spectrum.

An instrument's name is none of them: it names the family, and a new instrument has a new one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.notes import QUALITIES

Floats = NDArray[np.float64]

FEATURES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "pitch": ("pitch",),
        "velocity": ("velocity",),
        "source": ("instrument_source",),
        "qualities": ("qualities",),
        "metadata": ("pitch", "velocity", "instrument_source", "qualities"),
    }
)
"""The columns of each choice of features; `metadata` is all of them together."""

COLUMNS: Final = FEATURES["metadata"]

NUM_BANDS: Final = 24
_FLOOR: Final = 1e-6


def metadata(notes: pa.Table, feature: str) -> Floats:
    """The values of one of `FEATURES`, float64 [num_notes, num_values].

    Args:
      notes: a note a row, with its columns.
      feature: a name of `FEATURES`.
    """
    values = [_values(notes, column) for column in FEATURES[feature]]
    return np.concatenate(values, axis=1)


def band_levels(audio: NDArray[np.float32]) -> Floats:
    """How loud a note is in bands of equal width on a logarithmic scale, beside its loudest one.

    Args:
      audio: float32 [num_notes, num_samples].

    Returns:
      float64 [num_notes, NUM_BANDS], base-10 logarithms of power from -6 to 0; silence is all -6.
    """
    power = np.abs(np.fft.rfft(audio, axis=1)) ** 2
    edges = np.geomspace(1, power.shape[1], NUM_BANDS + 1).astype(np.intp)
    # A narrow band holds one bin at least; bin 0, the mean, says nothing of the sound.
    edges[:-1] = np.maximum(edges[:-1], np.arange(1, NUM_BANDS + 1))
    bands = np.add.reduceat(power, edges[:-1], axis=1)
    loudest = bands.max(axis=1, keepdims=True)
    shares = np.divide(bands, loudest, out=np.zeros_like(bands), where=loudest > 0)
    levels: Floats = np.log10(np.maximum(shares, _FLOOR)).astype(np.float64)
    return levels


def _values(notes: pa.Table, column: str) -> Floats:
    values = notes[column].combine_chunks()
    if column == "qualities":
        return np.array(values.to_pylist(), np.float64).reshape(len(notes), len(QUALITIES))
    found: Floats = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return found[:, np.newaxis]
