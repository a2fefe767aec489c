"""The notes of the sample and their metadata.

As in NSynth, valid and test share their instruments, train has others, and synth_lead occurs in
train only. Even numbers name the instruments of train, odd ones those of valid and test.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice, product, starmap
from typing import Final

import numpy as np

from infra.sample.records import Features
from infra.sample.synthesis import play
from infra.sample.timbres import TIMBRES, vary
from pipelines.notes import CLASSES, FAMILIES, QUALITIES, SAMPLE_RATE_HZ, SOURCES

VELOCITIES: Final = (25, 50, 75, 100, 127)
# One train note in this many; in NSynth one in 53.
_SYNTH_LEAD_SHARE: Final = 40


@dataclass(frozen=True, order=True)
class Note:
    """One note; its sound follows from it and the seed alone."""

    family: str
    number: int
    pitch: int
    velocity: int

    @property
    def source(self) -> str:
        """Return the source of its instrument, a member of `SOURCES`."""
        sources = TIMBRES[self.family].sources
        return sources[self.number // 2 % len(sources)]

    @property
    def instrument_str(self) -> str:
        """Return its instrument as NSynth writes it, such as bass_synthetic_003."""
        return f"{self.family}_{self.source}_{self.number:03d}"

    @property
    def note_str(self) -> str:
        """Return its name as NSynth writes it, such as bass_synthetic_003-052-100."""
        return f"{self.instrument_str}-{self.pitch:03d}-{self.velocity:03d}"


@dataclass(frozen=True)
class Roster:
    """The notes of one split.

    Attributes:
      notes: those that are written as they are, ordered by family.
      spares: others, of the ten classes in turn, for the defects to spoil.
    """

    notes: tuple[Note, ...]
    spares: tuple[Note, ...]


def family_counts(split: str, num_notes: int) -> dict[str, int]:
    """Return the number of notes of each family: equal shares, and a few of synth_lead in train."""
    num_leads = max(1, num_notes // _SYNTH_LEAD_SHARE) if split == "train" else 0
    rest = num_notes - num_leads
    return {"synth_lead": num_leads} | {
        name: len(range(label, rest, len(CLASSES))) for label, name in enumerate(CLASSES)
    }


def draw(
    num_notes: Mapping[str, int], num_spares: Mapping[str, int], *, seed: int
) -> dict[str, Roster]:
    """Draw the notes of all splits, no note twice; both arguments count by split."""
    rosters = {}
    for side, splits in enumerate((("train",), ("valid", "test"))):
        pools = {family: _pool(family, side=side, seed=seed) for family in FAMILIES}
        for split in splits:
            counts = family_counts(split, num_notes[split])
            notes = [note for family in counts for note in islice(pools[family], counts[family])]
            spares = [
                next(pools[CLASSES[turn % len(CLASSES)]]) for turn in range(num_spares[split])
            ]
            rosters[split] = Roster(tuple(sorted(notes)), tuple(spares))
    return rosters


def features(note: Note, *, seed: int) -> Features:
    """Return the 14 official features of a note, its audio among them."""
    family = FAMILIES.index(note.family)
    instrument = family * 1000 + note.number
    timbre = vary(TIMBRES[note.family], _generator(seed, note.instrument_str))
    return {
        "note": [(instrument * 128 + note.pitch) * 128 + note.velocity],
        "note_str": [note.note_str.encode()],
        "instrument": [instrument],
        "instrument_str": [note.instrument_str.encode()],
        "pitch": [note.pitch],
        "velocity": [note.velocity],
        "sample_rate": [SAMPLE_RATE_HZ],
        "audio": play(
            timbre,
            pitch=note.pitch,
            loudness=math.sqrt(note.velocity / 127),
            rng=_generator(seed, note.note_str),
        ),
        "qualities": [int(quality in timbre.qualities) for quality in QUALITIES],
        "qualities_str": [quality.encode() for quality in timbre.qualities],
        "instrument_family": [family],
        "instrument_family_str": [note.family.encode()],
        "instrument_source": [SOURCES.index(note.source)],
        "instrument_source_str": [note.source.encode()],
    }


def _pool(family: str, *, side: int, seed: int) -> Iterator[Note]:
    """Yield notes of a family without end: half of those of a few instruments, then of the next."""
    low, high = TIMBRES[family].register
    rng = _generator(seed, f"{family} {side}")
    num_instruments = (4, 2)[side]
    for first in count(side, 2 * num_instruments):
        numbers = range(first, first + 2 * num_instruments, 2)
        notes = list(starmap(Note, product([family], numbers, range(low, high + 1), VELOCITIES)))
        yield from (notes[i] for i in rng.permutation(len(notes))[: len(notes) // 2])


def _generator(seed: int, name: str) -> np.random.Generator:
    """Return a generator for a name, so that no note depends on which others are drawn."""
    return np.random.default_rng(np.random.SeedSequence([seed, *name.encode()]))
