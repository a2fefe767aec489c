"""What a note sounds like to the eye, and how much of it the stored signal keeps."""

import base64
import io
from typing import Final

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import signal

from pipelines.notes import SAMPLE_RATE_HZ, STORED_RATE_HZ

Audio = NDArray[np.float32]

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
