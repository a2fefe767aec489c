"""The timbre of each instrument family.

With the default number of samples a classifier gets nothing above 1 kHz, so the families differ in
what remains there: registers, low partials, envelopes, vibrato, noise, resonances.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np


@dataclass(frozen=True)
class Timbre:
    """How the notes of a family or an instrument sound.

    Attributes:
      register: lowest and highest MIDI pitch, both played.
      partials: frequency over fundamental, and strength there.
      phase: where in its cycle each partial starts, 0 to 1; sines that start alike make a saw or a
        square wave, cosines make pulses.
      level: peak of the loudest note.
      attack_sec: time from silence to full strength.
      decay_sec: time in which the fundamental falls to 1/e; infinite for sustained sound.
      damping: how much faster a partial decays with each multiple of the fundamental.
      vibrato_hz: rate of vibrato and tremolo.
      vibrato_semitones: swing of the pitch to either side.
      tremolo: swing of the loudness, 0 to 1.
      noise: strength of breath or bow noise beside the tone's.
      resonance_hz: where the instrument's body amplifies, whatever the pitch; 0 for nowhere.
      sources: members of `SOURCES` in which the family occurs.
      qualities: members of `QUALITIES` that describe it.
    """

    register: tuple[int, int]
    partials: tuple[tuple[float, float], ...]
    attack_sec: float
    phase: float = 0.0
    level: float = 0.9
    decay_sec: float = math.inf
    damping: float = 0.0
    vibrato_hz: float = 5.0
    vibrato_semitones: float = 0.0
    tremolo: float = 0.0
    noise: float = 0.0
    resonance_hz: float = 0.0
    sources: tuple[str, ...] = ("acoustic",)
    qualities: tuple[str, ...] = ()


def _harmonics(*strengths: float) -> tuple[tuple[float, float], ...]:
    """Return partials at the whole multiples of the fundamental."""
    return tuple((float(k), strength) for k, strength in enumerate(strengths, start=1))


def _stretched(stiffness: float, *strengths: float) -> tuple[tuple[float, float], ...]:
    """Return partials of a stiff string, which are higher than the whole multiples."""
    return tuple(
        (ratio * math.sqrt(1 + stiffness * ratio**2), strength)
        for ratio, strength in _harmonics(*strengths)
    )


# Timbre by family; the registers keep most fundamentals between MIDI pitch 36 and 72.
TIMBRES: Final[Mapping[str, Timbre]] = MappingProxyType(
    {
        "bass": Timbre(
            register=(33, 47),
            level=1.0,
            partials=_harmonics(1.0, 0.7, 0.35, 0.2, 0.1, 0.05),
            attack_sec=0.01,
            decay_sec=1.5,
            damping=0.6,
            sources=("electronic", "synthetic"),
            qualities=("dark",),
        ),
        "brass": Timbre(
            register=(50, 65),
            phase=0.25,
            level=1.0,
            partials=_harmonics(0.5, 1.0, 0.9, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1),
            attack_sec=0.09,
            vibrato_semitones=0.05,
            noise=0.01,
            qualities=("bright",),
        ),
        "flute": Timbre(
            register=(62, 74),
            level=0.5,
            partials=_harmonics(1.0, 0.2, 0.06),
            attack_sec=0.15,
            tremolo=0.25,
            noise=0.12,
            sources=("acoustic", "synthetic"),
        ),
        "guitar": Timbre(
            register=(40, 60),
            phase=0.75,
            level=0.8,
            partials=_stretched(1e-4, 1.0, 0.9, 0.7, 0.55, 0.4, 0.3, 0.2, 0.15, 0.1),
            attack_sec=0.003,
            decay_sec=0.9,
            damping=0.35,
            resonance_hz=220,
            sources=("acoustic", "electronic"),
            qualities=("fast_decay",),
        ),
        "keyboard": Timbre(
            register=(36, 72),
            level=0.7,
            partials=_stretched(6e-4, 1.0, 0.4, 0.2, 0.12, 0.08, 0.04),
            attack_sec=0.006,
            decay_sec=2.5,
            damping=0.2,
            sources=("electronic", "acoustic", "synthetic"),
            qualities=("long_release",),
        ),
        "mallet": Timbre(
            register=(55, 74),
            level=0.8,
            # The first modes of a free bar.
            partials=((1.0, 1.0), (2.76, 0.5), (5.4, 0.25), (8.93, 0.1)),
            attack_sec=0.002,
            decay_sec=0.3,
            damping=0.5,
            qualities=("fast_decay", "percussive"),
        ),
        "organ": Timbre(
            register=(38, 72),
            level=0.9,
            partials=((0.5, 0.8), (1.0, 1.0), (1.5, 0.6), (2.0, 0.8), (3.0, 0.4), (4.0, 0.5)),
            attack_sec=0.02,
            vibrato_hz=6.8,
            tremolo=0.35,
            sources=("electronic",),
            qualities=("multiphonic",),
        ),
        "reed": Timbre(
            register=(53, 70),
            level=0.8,
            # A cylindrical bore closed at one end: odd harmonics.
            partials=_harmonics(1.0, 0.04, 0.75, 0.05, 0.5, 0.05, 0.3, 0.03, 0.15),
            attack_sec=0.05,
            vibrato_hz=4.5,
            vibrato_semitones=0.08,
            noise=0.02,
        ),
        "string": Timbre(
            register=(48, 72),
            phase=0.5,
            level=0.6,
            partials=_harmonics(*(1 / k for k in range(1, 11))),
            attack_sec=0.4,
            vibrato_hz=5.6,
            vibrato_semitones=0.3,
            noise=0.03,
            resonance_hz=450,
            qualities=("nonlinear_env",),
        ),
        "synth_lead": Timbre(
            register=(48, 72),
            # Two voices slightly out of tune.
            partials=_harmonics(1.0, 0.5, 0.33, 0.25, 0.2)
            + tuple((1.006 * k, 1 / k) for k in range(1, 6)),
            attack_sec=0.01,
            sources=("synthetic",),
            qualities=("bright", "distortion"),
        ),
        "vocal": Timbre(
            register=(46, 62),
            phase=0.25,
            level=0.7,
            partials=_harmonics(*(0.8 ** (k - 1) for k in range(1, 13))),
            attack_sec=0.2,
            vibrato_hz=6.0,
            vibrato_semitones=0.5,
            noise=0.02,
            resonance_hz=750,
            sources=("acoustic", "synthetic"),
            qualities=("reverb",),
        ),
    }
)


def vary(timbre: Timbre, rng: np.random.Generator) -> Timbre:
    """Return one instrument of the family: the same timbre with slightly different figures."""

    def near(value: float, spread: float) -> float:
        return value * math.exp(spread * rng.standard_normal())

    return replace(
        timbre,
        partials=tuple((ratio, near(strength, 0.15)) for ratio, strength in timbre.partials),
        attack_sec=near(timbre.attack_sec, 0.2),
        decay_sec=near(timbre.decay_sec, 0.15),
        vibrato_hz=near(timbre.vibrato_hz, 0.05),
        vibrato_semitones=near(timbre.vibrato_semitones, 0.15),
        tremolo=near(timbre.tremolo, 0.1),
        noise=near(timbre.noise, 0.2),
        resonance_hz=near(timbre.resonance_hz, 0.05),
    )
