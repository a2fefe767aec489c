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

from pipelines.convert.reading.original_audio import read_original
from pipelines.dataset import Dataset
from pipelines.notes import NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ, stored_rate_hz

Audio = NDArray[np.float32]

# About ten kilobytes per note, which on a laptop sounds like the original.
_COMPRESSION: Final = 0.75
# Rates of MP3; of lower ones than the first browsers stutter.
_RATES_HZ: Final = (8_000, SAMPLE_RATE_HZ)
_NUM_READERS: Final = 8

_WINDOW: Final = 512
_FLOOR_DB: Final = -80.0
_IMAGE_SIZE: Final = (300, 128)


@dataclass(frozen=True)
class Sound:
    """A note to play.

    Attributes:
      uri: a `data:` URI.
      is_original: whether it is what was recorded, or the stored signal, which has fewer samples.
    """

    uri: str
    is_original: bool


def original_sound(audio: Audio) -> Sound:
    """Encode the original of a note, float32 [64000]."""
    return Sound(_encode(audio, SAMPLE_RATE_HZ), is_original=True)


def stored_sound(audio: Audio) -> Sound:
    """Encode the stored signal of a note, float32 [num_samples]."""
    if len(audio) == NUM_SOURCE_SAMPLES:
        return original_sound(audio)
    rate_hz = next(rate_hz for rate_hz in _RATES_HZ if rate_hz >= stored_rate_hz(len(audio)))
    num_samples = NUM_SOURCE_SAMPLES * rate_hz // SAMPLE_RATE_HZ
    return Sound(_encode(signal.resample(audio, num_samples), rate_hz), is_original=False)


def _encode(audio: Audio, rate_hz: int) -> str:
    """Return samples as MP3; those outside [-1, 1] are scaled down."""
    peak = max(1.0, float(np.abs(audio).max()))
    data = io.BytesIO()
    soundfile.write(data, audio / peak, rate_hz, format="MP3", compression_level=_COMPRESSION)
    return _data_uri("audio/mpeg", data)


def _data_uri(kind: str, data: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(data.getvalue()).decode()}"


def read_originals(dataset: Dataset, rows: Sequence[int]) -> Mapping[int, Audio]:
    """Read the originals of some notes, by row; without those whose source is gone.

    Args:
      rows: their numbers in the data set.
    """
    columns, ascending = ["source_file", "source_offset", "note_str"], sorted(rows)
    notes = dataset.take(columns, ascending).to_pylist()
    with ThreadPoolExecutor(_NUM_READERS) as pool:
        found = pool.map(lambda note: read_original(dataset.manifest.sources, **note), notes)
        pairs = zip(ascending, found, strict=True)
        return {row: audio for row, audio in pairs if audio is not None}


def removed_share(audio: Audio, *, num_samples: int) -> float:
    """Return the share of the energy of an original that resampling to `num_samples` removes.

    Args:
      audio: float32 [64000].
    """
    energy = np.abs(np.fft.rfft(audio.astype(np.float64))) ** 2
    is_removed = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE_HZ) > stored_rate_hz(num_samples) / 2
    return float(energy[is_removed].sum() / max(energy.sum(), np.finfo(np.float64).tiny))


def spectrogram_image(audio: Audio, *, rate_hz: float = SAMPLE_RATE_HZ) -> str:
    """Return a spectrogram as a PNG: time to the right, frequency up to 8 kHz.

    A rate below that of the originals leaves the upper part empty, which shows what is missing.

    Args:
      audio: float32 [num_samples].
    """
    window = int(_WINDOW * rate_hz / SAMPLE_RATE_HZ)
    _, _, power = signal.spectrogram(audio, rate_hz, nperseg=window, noverlap=window // 2)
    decibel = 10 * np.log10(power / max(power.max(), 1e-20) + 1e-20)
    loudness = np.clip(1 - decibel / _FLOOR_DB, 0, 1)
    full = np.zeros((_WINDOW // 2 + 1, loudness.shape[1]))
    full[: len(loudness)] = loudness
    colours = mpl.colormaps["magma"](full[::-1], bytes=True)[..., :3]
    image = Image.fromarray(colours).resize(_IMAGE_SIZE, Image.Resampling.BILINEAR)
    data = io.BytesIO()
    image.quantize(64).save(data, format="PNG", optimize=True)
    return _data_uri("image/png", data)
