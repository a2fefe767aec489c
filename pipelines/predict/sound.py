"""Sound files of any rate and any number of channels as the notes that a model takes."""

import io
from dataclasses import dataclass
from math import gcd
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines import storage
from pipelines.errors import DatasetError
from pipelines.notes import NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ

SUFFIXES: Final = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")

# An hour at the highest rate is 1.4 GB; a larger file is no recording of a note.
MAX_BYTES: Final = 2**30

# A rest that is shorter than a quarter of a note is no note of its own.
_LEAST_REST: Final = NUM_SOURCE_SAMPLES // 4


@dataclass(frozen=True, eq=False)
class Sound:
    """A recording.

    Attributes:
      audio: float32 [num_samples], the mean of the channels.
      rate_hz: samples per second.
    """

    audio: NDArray[np.float32]
    rate_hz: int

    @property
    def seconds(self) -> float:
        """Return the length."""
        return len(self.audio) / self.rate_hz


def read_sound(uri: str) -> Sound:
    """Read a sound file: wav, flac, ogg and what else libsndfile decodes.

    Raises:
      DatasetError: it cannot be decoded, or holds no sample or one that is not finite.
      OSError: it cannot be read.
    """
    # Of an extra, which the rest of the package does without.
    import soundfile  # noqa: PLC0415 - as above

    data = storage.read(uri)
    if len(data) > MAX_BYTES:
        raise DatasetError(f"{uri} is larger than {MAX_BYTES // 2**20} MiB; cut it into notes")
    try:
        # [num_samples, channels]
        samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as err:
        reason = err.error_string.strip().rstrip(".")
        raise DatasetError(f"{uri} is not a sound file that can be decoded: {reason}") from err
    return make_sound(samples, rate_hz, name=uri)


def make_sound(samples: NDArray[np.floating], rate_hz: int, *, name: str = "the sound") -> Sound:
    """Return an array as a sound.

    Args:
      samples: float [num_samples] or [num_samples, channels], in [-1, 1].
      rate_hz: samples per second.
      name: what it is, for an error.

    Raises:
      DatasetError: it holds no sample or one that is not finite, or the rate is not above 0.
    """
    audio = np.asarray(samples, np.float32)
    audio = audio.mean(axis=1) if audio.ndim == 2 else audio
    if audio.ndim != 1 or not len(audio):
        raise DatasetError(f"{name} holds no samples")
    if not np.isfinite(audio).all():
        raise DatasetError(f"{name} has samples that are not finite")
    if rate_hz <= 0:
        raise DatasetError(f"{name} has {rate_hz} samples per second")
    return Sound(audio, int(rate_hz))


def to_notes(sound: Sound) -> tuple[NDArray[np.float32], str]:
    """Return a sound as notes of NSynth's rate and length.

    Returns:
      float32 [num_notes, 64000] at 16 kHz, and what was done to the sound, in words: one that is
      shorter than four seconds is followed by silence, a longer one is cut into pieces.
    """
    audio = _at_source_rate(sound)
    num_samples, length = len(audio), NUM_SOURCE_SAMPLES
    num_notes = max(1, -(-num_samples // length))
    if num_notes > 1 and num_samples % length and num_samples % length < _LEAST_REST:
        num_notes -= 1
    padded = np.zeros(num_notes * length, np.float32)
    padded[: min(num_samples, len(padded))] = audio[: len(padded)]
    done = ""
    if num_samples < length:
        done = f"{sound.seconds:.2f} s, padded with silence to 4 s"
    elif num_notes > 1:
        done = f"{sound.seconds:.2f} s, mean of {num_notes} pieces of 4 s"
    elif num_samples > length:
        done = f"{sound.seconds:.2f} s, of which the first 4 s"
    return padded.reshape(num_notes, length), done


def _at_source_rate(sound: Sound) -> NDArray[np.float32]:
    if sound.rate_hz == SAMPLE_RATE_HZ:
        return sound.audio
    from scipy import signal  # noqa: PLC0415 - its import takes longer than many a command

    common = gcd(sound.rate_hz, SAMPLE_RATE_HZ)
    up, down = SAMPLE_RATE_HZ // common, sound.rate_hz // common
    return np.asarray(signal.resample_poly(sound.audio, up, down), np.float32)
