"""Random changes of training notes: delay, level, tilt, noise, masks and mixing.

What a batch gets is a function of seed, epoch and batch alone, so that a training that was resumed
sees what it would have seen. NumPy computes it, the same for every backend.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.architecture import Augmentation

Audio = NDArray[np.float32]

# Added to the mean power of a note, so that silence is not divided by 0.
_SILENCE: Final = 1e-10
Labels = NDArray[Any]


def batch_generator(*, seed: int, epoch: int, batch: int) -> np.random.Generator:
    """Return the random numbers of one batch; `epoch` and `batch` count from 0."""
    # 1 keeps them apart from the numbers of the order of notes.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch, batch, 1])))


def augment(
    audio: Audio, labels: Labels, *, changes: Augmentation, random: np.random.Generator
) -> tuple[Audio, Labels]:
    """Return changed copies of the notes of a batch.

    Args:
      audio: float32 [batch, num_samples].
      labels: of the batch; float32 [batch, 10] where notes are mixed.

    Returns:
      As the arguments; labels change only where notes are mixed.
    """
    num_notes, num_samples = audio.shape
    if changes.delay:
        longest = int(changes.delay * num_samples)
        audio = delayed(audio, random.integers(0, longest + 1, (num_notes,)))
    if changes.tilt_db or changes.frequency_mask:
        audio = _filtered(audio, changes, random)
    if changes.time_mask:
        audio = audio * _gaps(num_notes, num_samples, widest=changes.time_mask, random=random)
    if changes.noise_db is not None:
        # Levels are uniform in decibels, from -80 to the loudest.
        level_db = random.uniform(min(-80.0, changes.noise_db), changes.noise_db, (num_notes, 1))
        rms = np.sqrt(np.mean(np.square(audio), axis=1, keepdims=True))
        noise = random.standard_normal(audio.shape, np.float32)
        audio = audio + noise * (rms * _amplitude(level_db)).astype(np.float32)
    if changes.gain_db:
        gain_db = random.uniform(-changes.gain_db, changes.gain_db, (num_notes, 1))
        audio = audio * _amplitude(gain_db).astype(np.float32)
    if changes.mixup:
        share = random.beta(changes.mixup, changes.mixup, (num_notes, 1)).astype(np.float32)
        # Each note stays the louder part, and of one level, or a loud partner would drown it.
        share = np.maximum(share, 1 - share)
        partner = random.permutation(num_notes)
        audio = audio / np.sqrt(np.mean(np.square(audio), axis=1, keepdims=True) + _SILENCE)
        audio = share * audio + (1 - share) * audio[partner]
        labels = share * labels + (1 - share) * labels[partner]
    return audio.astype(np.float32, copy=False), labels


def delayed(audio: Audio, delays: NDArray[np.int64]) -> Audio:
    """Return notes that begin later, after silence; their ends are cut off.

    Args:
      audio: float32 [batch, num_samples].
      delays: int64 [batch], samples from 0 to num_samples.
    """
    later = np.zeros_like(audio)
    num_samples = audio.shape[1]
    for note, delay in enumerate(delays):
        later[note, delay:] = audio[note, : num_samples - delay]
    return later


def _filtered(audio: Audio, changes: Augmentation, random: np.random.Generator) -> Audio:
    num_notes, num_samples = audio.shape
    spectrum = np.fft.rfft(audio, axis=1)
    num_bins = spectrum.shape[1]
    if changes.tilt_db:
        slope_db = random.uniform(-changes.tilt_db, changes.tilt_db, (num_notes, 1))
        # Centred, so that the level stays about the same.
        spectrum *= _amplitude(slope_db * np.linspace(-0.5, 0.5, num_bins))
    if changes.frequency_mask:
        spectrum *= _gaps(num_notes, num_bins, widest=changes.frequency_mask, random=random)
    return np.fft.irfft(spectrum, num_samples, axis=1).astype(np.float32)


def _gaps(num_notes: int, length: int, *, widest: float, random: np.random.Generator) -> Audio:
    """Return ones with one stretch of zeros in each row, [num_notes, length]."""
    width = random.integers(0, int(widest * length) + 1, (num_notes, 1))
    start = np.floor(random.uniform(0, 1, (num_notes, 1)) * (length - width + 1))
    place = np.arange(length)
    return ((place < start) | (place >= start + width)).astype(np.float32)


def _amplitude(level_db: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(10 ** (level_db / 20))
