"""Resampling of notes, many at a time."""

import numpy as np
from numpy.typing import NDArray


def resample(audio: NDArray[np.float32], *, num_samples: int) -> NDArray[np.float32]:
    """Resample each note in the frequency domain.

    Args:
      audio: float32 [num_notes, num_source_samples], in [-1, 1].
      num_samples: samples to keep per note.

    Returns:
      float32 [num_notes, num_samples]; may overshoot [-1, 1] where the input clips.

    Source: scipy.signal.resample, the reference report's method.
    """
    # Its import takes longer than many a command.
    from scipy import signal  # noqa: PLC0415 - as above

    return np.asarray(signal.resample(audio, num_samples, axis=1), np.float32)
