"""The spectrum of a note as levels of frequency bands, which simple classifiers learn from."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.dataset import Dataset

Floats = NDArray[np.float64]

# Few enough for a random forest of few notes.
NUM_BANDS: Final = 24

_FLOOR: Final = 1e-6
_SAMPLES_AT_ONCE: Final = 500 * 8_000


def band_levels(audio: NDArray[np.float32], num_bands: int = NUM_BANDS) -> Floats:
    """Return the level of a note in frequency bands, relative to its loudest band.

    The bands have equal width on a logarithmic scale.

    Args:
      audio: float32 [num_notes, num_samples].

    Returns:
      float64 [num_notes, num_bands], base-10 logarithms of power from -6 to 0; silence is all -6.
    """
    power = np.abs(np.fft.rfft(audio, axis=1)) ** 2
    bands = np.add.reduceat(power, band_edges(power.shape[1], num_bands), axis=1)
    loudest = bands.max(axis=1, keepdims=True)
    shares = np.divide(bands, loudest, out=np.zeros_like(bands), where=loudest > 0)
    levels: Floats = np.log10(np.maximum(shares, _FLOOR)).astype(np.float64)
    return levels


def band_edges(num_bins: int, num_bands: int = NUM_BANDS) -> NDArray[np.intp]:
    """Return the first bin of each band of a spectrum."""
    edges = np.geomspace(1, num_bins, num_bands + 1).astype(np.intp)[:-1]
    # A narrow band holds one bin at least; bin 0, the mean, says nothing about the sound.
    return np.maximum(edges, np.arange(1, num_bands + 1))


def read_levels(dataset: Dataset, rows: NDArray[np.int64], num_bands: int = NUM_BANDS) -> Floats:
    """Return `band_levels` of some notes of a data set, float64 [len(rows), num_bands]."""
    # Read in pieces, since the samples of all notes may not fit in memory.
    num_pieces = len(rows) * dataset.num_samples // _SAMPLES_AT_ONCE
    pieces = np.array_split(rows, max(1, num_pieces))
    audio = (dataset.audio(piece.tolist()) for piece in pieces)
    return np.concatenate([band_levels(samples, num_bands) for samples in audio])
