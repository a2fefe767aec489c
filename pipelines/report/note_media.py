"""Sounds and spectrograms of notes, as `data:` URIs for a page."""

import base64
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image
from scipy import signal

from pipelines.convert.originals import read_original
from pipelines.dataset import Dataset
from pipelines.notes import SAMPLE_RATE_HZ, STORED_RATE_HZ

Audio = NDArray[np.float32]

_COMPRESSION: Final = 0.75
"""About ten kilobytes a note, which a loudspeaker of a laptop does not tell from the original."""

_LEAST_RATE_HZ: Final = 8_000
"""The lowest rate that browsers play MP3 at without a stutter."""

_READERS: Final = 8


@dataclass(frozen=True)
class Sound:
    """A note to play.

    Attributes:
      uri: a `data:` URI.
      is_original: whether it is what was recorded, or the stored signal, which ends at 1 kHz.
    """

    uri: str
    is_original: bool


def encode(audio: Audio, rate_hz: int) -> str:
    """Samples as MP3 in a `data:` URI.

    Args:
      audio: float32 [num_samples]; what lies outside [-1, 1] is scaled down.
    """
    peak = max(1.0, float(np.abs(audio).max()))
    data = io.BytesIO()
    soundfile.write(data, audio / peak, rate_hz, format="MP3", compression_level=_COMPRESSION)
    return f"data:audio/mpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def original_sound(audio: Audio) -> Sound:
    """The original of a note, float32 [64000]."""
    return Sound(encode(audio, SAMPLE_RATE_HZ), is_original=True)


def stored_sound(audio: Audio) -> Sound:
    """The stored signal of a note, float32 [8000]."""
    num_samples = len(audio) * _LEAST_RATE_HZ // STORED_RATE_HZ
    return Sound(encode(signal.resample(audio, num_samples), _LEAST_RATE_HZ), is_original=False)


def originals(dataset: Dataset, rows: Sequence[int]) -> Mapping[int, Audio]:
    """The originals of some notes, by row; without those whose source is gone.

    Args:
      rows: their numbers in the data set.
    """
    columns, ascending = ["source_file", "source_offset", "note_str"], sorted(rows)
    notes = dataset.take(columns, ascending).to_pylist()
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda note: read_original(dataset.manifest.sources, **note), notes)
        pairs = zip(ascending, found, strict=True)
        return {row: audio for row, audio in pairs if audio is not None}


_WINDOW: Final = 512
_FLOOR_DB: Final = -80.0
_SIZE: Final = (300, 128)


def share_above(audio: Audio, hz: float, *, rate_hz: int = SAMPLE_RATE_HZ) -> float:
    """The share of a note's energy above a frequency.

    Args:
      audio: float32 [num_samples].
    """
    energy = np.abs(np.fft.rfft(audio.astype(np.float64))) ** 2
    above = np.fft.rfftfreq(len(audio), 1 / rate_hz) > hz
    return float(energy[above].sum() / max(energy.sum(), np.finfo(np.float64).tiny))


def removed_share(audio: Audio) -> float:
    """The share of an original's energy that resampling removes."""
    return share_above(audio, STORED_RATE_HZ / 2)


def spectrogram_image(audio: Audio, *, rate_hz: int = SAMPLE_RATE_HZ) -> str:
    """A spectrogram as a PNG in a `data:` URI: time to the right, frequency up to 8 kHz.

    A rate below that of the originals leaves the upper part empty, which is what is missing there.

    Args:
      audio: float32 [num_samples].
    """
    window = _WINDOW * rate_hz // SAMPLE_RATE_HZ
    _, _, power = signal.spectrogram(audio, rate_hz, nperseg=window, noverlap=window // 2)
    decibel = 10 * np.log10(power / max(power.max(), 1e-20) + 1e-20)
    shown = np.clip(1 - decibel / _FLOOR_DB, 0, 1)
    full = np.zeros((_WINDOW // 2 + 1, shown.shape[1]))
    full[: len(shown)] = shown
    colours = mpl.colormaps["magma"](full[::-1], bytes=True)[..., :3]
    image = Image.fromarray(colours).resize(_SIZE, Image.Resampling.BILINEAR)
    data = io.BytesIO()
    image.quantize(64).save(data, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
