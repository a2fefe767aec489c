"""A timbre and a pitch become four seconds of sound."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from infra.sample.timbres import Timbre
from pipelines.notes import NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ

_SECONDS: Final = np.arange(NUM_SOURCE_SAMPLES) / SAMPLE_RATE_HZ
_HELD_SEC: Final = 3.0
"""NSynth's notes are held for three of their four seconds."""
_RELEASE_SEC: Final = 0.2
_RESONANCE_WIDTH: Final = 0.3
"""Half width of a resonance, as a share of its frequency."""
_RESONANCE_GAIN: Final = 4.0


def play(timbre: Timbre, *, pitch: int, loudness: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Synthesises one note.

    Args:
      timbre: the instrument's.
      pitch: MIDI pitch.
      loudness: peak of the result, 0 to 1.
      rng: gives phases and noise, so that no two notes share a waveform.

    Returns:
      float32 [64000] in [-1, 1], on the steps of 16-bit recordings as NSynth's are.
    """
    fundamental_hz = 440.0 * 2 ** ((pitch - 69) / 12)
    ratios, strengths = np.array(timbre.partials).T
    frequencies_hz = fundamental_hz * ratios
    strengths = strengths * _resonance(frequencies_hz, timbre.resonance_hz)
    swing_phase = rng.uniform(0, 2 * np.pi)
    # [partials, samples]
    cycles = frequencies_hz[:, None] * _bent_time(timbre, swing_phase) + rng.uniform(
        size=(len(ratios), 1)
    )
    # float32 sines are several times faster, and exact enough once whole cycles are gone.
    waves = np.sin(2 * np.pi * (cycles - np.floor(cycles)).astype(np.float32))
    rates = (1 + timbre.damping * (ratios - 1)) / timbre.decay_sec
    decays = np.exp(-(rates[:, None] * _SECONDS).astype(np.float32))
    tone = np.einsum("p,ps,ps->s", strengths.astype(np.float32), waves, decays)
    tone /= np.abs(tone).max()
    sound = (tone + timbre.noise * rng.standard_normal(tone.size, dtype=np.float32)) * _envelope(
        timbre, swing_phase
    )
    sound *= loudness / np.abs(sound).max()
    return (np.rint(sound * 32767) / 32768).astype(np.float32)


def _resonance(frequencies_hz: NDArray[np.float64], center_hz: float) -> NDArray[np.float64]:
    """Gain of the instrument's body at each frequency."""
    if not center_hz:
        return np.ones_like(frequencies_hz)
    distance = (frequencies_hz / center_hz - 1) / _RESONANCE_WIDTH
    return 1 + _RESONANCE_GAIN / (1 + distance**2)


def _bent_time(timbre: Timbre, phase: float) -> NDArray[np.float64]:
    """Time as vibrato stretches it, in seconds: the integral of the relative frequency."""
    depth = 2 ** (timbre.vibrato_semitones / 12) - 1
    turn = 2 * np.pi * timbre.vibrato_hz
    return _SECONDS - depth / turn * np.cos(turn * _SECONDS + phase)


def _envelope(timbre: Timbre, phase: float) -> NDArray[np.float32]:
    """Loudness over time but for the decay of the partials: attack, tremolo, release."""
    attack = np.minimum(_SECONDS / timbre.attack_sec, 1)
    tremolo = 1 - timbre.tremolo * (0.5 + 0.5 * np.sin(2 * np.pi * timbre.vibrato_hz * _SECONDS + phase))
    release = np.exp(-np.maximum(_SECONDS - _HELD_SEC, 0) / _RELEASE_SEC)
    return (attack * tremolo * release).astype(np.float32)
