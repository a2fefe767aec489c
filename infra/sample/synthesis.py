"""A timbre and a pitch become four seconds of sound."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from infra.sample.timbres import Timbre
from pipelines.notes import NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ

_SECONDS: Final = np.arange(NUM_SOURCE_SAMPLES) / SAMPLE_RATE_HZ
_SECONDS_32: Final = _SECONDS.astype(np.float32)
# NSynth's notes are held for three of their four seconds.
_HELD_SEC: Final = 3.0
_RELEASE_SEC: Final = 0.2
# Half width of a resonance, as a share of its frequency.
_RESONANCE_WIDTH: Final = 0.3
_RESONANCE_GAIN: Final = 4.0
# Phase of each partial, in cycles: no two notes share a waveform.
_PHASE_JITTER: Final = 0.04


def play(
    timbre: Timbre, *, pitch: int, loudness: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Synthesise one note.

    Args:
      timbre: the instrument's.
      pitch: MIDI pitch.
      loudness: peak of the result, 0 to 1, where 1 is the timbre's own level.
      rng: gives phases and noise, so that no two notes share a waveform.

    Returns:
      float32 [64000] in [-1, 1], on the steps of 16-bit recordings as NSynth's are.
    """
    fundamental_hz = 440.0 * 2 ** ((pitch - 69) / 12)
    ratios, strengths = np.array(timbre.partials).T
    frequencies_hz = fundamental_hz * ratios
    strengths = strengths * _resonance(frequencies_hz, timbre.resonance_hz)
    swing_phase = rng.uniform(0, 2 * np.pi)
    time = _bent_time(timbre, swing_phase)
    tone = np.zeros(NUM_SOURCE_SAMPLES, np.float32)
    # A partial at a time: what it takes stays in a core's cache.
    for frequency_hz, ratio, strength in zip(frequencies_hz, ratios, strengths, strict=True):
        wave = _sine(frequency_hz * time + timbre.phase + _PHASE_JITTER * rng.standard_normal())
        rate = (1 + timbre.damping * (ratio - 1)) / timbre.decay_sec
        tone += wave * (np.float32(strength) * np.exp(np.float32(-rate) * _SECONDS_32))
    tone /= np.abs(tone).max()
    noise = timbre.noise * rng.standard_normal(tone.size, dtype=np.float32)
    sound = (tone + noise) * _envelope(timbre, swing_phase)
    sound *= timbre.level * loudness / np.abs(sound).max()
    return np.asarray(np.rint(sound * 32767) / 32768, np.float32)


def _sine(cycles: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the sine of a phase in cycles."""
    # float32 sines are several times faster, and exact enough once whole cycles are gone.
    return np.asarray(np.sin(2 * np.pi * (cycles - np.floor(cycles)).astype(np.float32)))


def _resonance(frequencies_hz: NDArray[np.float64], center_hz: float) -> NDArray[np.float64]:
    """Return the gain of the instrument's body at each frequency."""
    if not center_hz:
        return np.ones_like(frequencies_hz)
    distance = (frequencies_hz / center_hz - 1) / _RESONANCE_WIDTH
    return 1 + _RESONANCE_GAIN / (1 + distance**2)


def _bent_time(timbre: Timbre, phase: float) -> NDArray[np.float64]:
    """Return time stretched by vibrato, in seconds: the integral of the relative frequency."""
    if not timbre.vibrato_semitones:
        return _SECONDS
    depth = 2 ** (timbre.vibrato_semitones / 12) - 1
    turn = 2 * np.pi * timbre.vibrato_hz
    return _SECONDS - depth / turn * np.cos(turn * _SECONDS + phase)


def _envelope(timbre: Timbre, phase: float) -> NDArray[np.float32]:
    """Return loudness over time without the decay of partials: attack, tremolo, release."""
    seconds = _SECONDS_32
    attack = np.minimum(seconds / np.float32(timbre.attack_sec), 1)
    swing = np.sin(np.float32(2 * np.pi * timbre.vibrato_hz) * seconds + np.float32(phase))
    tremolo = 1 - np.float32(timbre.tremolo) * (1 + swing) / 2
    release = np.exp(np.minimum(_HELD_SEC - seconds, 0) / _RELEASE_SEC)
    return np.asarray(attack * tremolo * release, np.float32)
