"""The rules a note must keep, each a function from the notes' scalars to those that break it.

Rules are asked in order, and only about notes that no rule before has dropped: the first reason
counts, and a note that is out cannot make a duplicate of another. Pure; never reads audio.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.notes import FAMILIES, SAMPLE_RATE_HZ, SOURCES

RULES_VERSION: Final = 1
"""Raised whenever a rule changes what it drops."""

LEAKED: Final = "leaked"
"""The same audio in training and test data; needs two data sets, so that no rule here gives it."""

HELD_OUT: Final = "gate"
"""A note that decides which model is promoted, or one of its instrument; no rule here gives it."""

SILENT_PEAK: Final = 1e-4
"""A note whose original samples all stay below -80 dB of full scale is silent."""

COLUMNS: Final = (
    "note_str",
    "instrument_str",
    "pitch",
    "velocity",
    "sample_rate",
    "instrument_family",
    "instrument_family_str",
    "instrument_source",
    "instrument_source_str",
    "peak",
    "audio_digest",
)
"""What the rules read."""

Columns = Mapping[str, Sequence[Any]]
Mask = NDArray[np.bool_]

_NAME: Final = re.compile(r"(?P<family>.+)_(?P<source>[a-z]+)_\d+")


def reasons(notes: pa.Table) -> list[str | None]:
    """The reason for which each note is left out, None for one that is kept.

    Args:
      notes: the columns `COLUMNS` of all notes of a data set, in order.
    """
    found: NDArray[np.object_] = np.full(notes.num_rows, None, object)
    alive = np.arange(notes.num_rows)
    for reason, broken_by in RULES.items():
        broken = broken_by(notes.take(alive).to_pydict())
        found[alive[broken]] = reason
        alive = alive[~broken]
    return [None if reason is None else str(reason) for reason in found]


def is_synth_lead(notes: Columns) -> Mask:
    """The family that only the train split has; the classifiers leave it out."""
    lead = FAMILIES.index("synth_lead")
    pairs = zip(notes["instrument_family"], notes["instrument_family_str"], strict=True)
    return _mask(pair == (lead, "synth_lead") for pair in pairs)


def has_other_sample_rate(notes: Columns) -> Mask:
    """All notes were recorded at one rate, which resampling takes for granted."""
    return _mask(rate != SAMPLE_RATE_HZ for rate in notes["sample_rate"])


def mismatches_family(notes: Columns) -> Mask:
    """Family and source are each given twice, by number and by name."""
    families = zip(notes["instrument_family"], notes["instrument_family_str"], strict=True)
    sources = zip(notes["instrument_source"], notes["instrument_source_str"], strict=True)
    return ~_mask(pair in _FAMILY_PAIRS for pair in families) | ~_mask(
        pair in _SOURCE_PAIRS for pair in sources
    )


def mismatches_name(notes: Columns) -> Mask:
    """`note_str` is instrument, pitch and velocity; `instrument_str` begins with the family."""
    rows = zip(
        notes["note_str"],
        notes["instrument_str"],
        notes["pitch"],
        notes["velocity"],
        notes["instrument_family_str"],
        notes["instrument_source_str"],
        strict=True,
    )
    return ~_mask(
        note == f"{instrument}-{pitch:03d}-{velocity:03d}"
        and (match := _NAME.fullmatch(instrument)) is not None
        and (match["family"], match["source"]) == (family, source)
        for note, instrument, pitch, velocity, family, source in rows
    )


def is_out_of_pitch(notes: Columns) -> Mask:
    """MIDI has the pitches 0 to 127; the data set uses 9 to 120."""
    return _mask(not 0 <= pitch <= 127 for pitch in notes["pitch"])


def is_out_of_velocity(notes: Columns) -> Mask:
    """MIDI has the velocities 1 to 127; 0 means that the note ends."""
    return _mask(not 1 <= velocity <= 127 for velocity in notes["velocity"])


def is_silent(notes: Columns) -> Mask:
    """A recording of nothing."""
    return _mask(peak < SILENT_PEAK for peak in notes["peak"])


def repeats_note(notes: Columns) -> Mask:
    """The same note twice; the first stays."""
    return _repeats(notes["note_str"])


def repeats_audio(notes: Columns) -> Mask:
    """The same samples under two names: the first stays, none where the families differ."""
    families: dict[Hashable, set[Hashable]] = {}
    for digest, family in zip(notes["audio_digest"], notes["instrument_family"], strict=True):
        families.setdefault(digest, set()).add(family)
    contradicted = _mask(len(families[digest]) > 1 for digest in notes["audio_digest"])
    return contradicted | _repeats(notes["audio_digest"])


RULES: Final[Mapping[str, Callable[[Columns], Mask]]] = MappingProxyType(
    {
        "synth_lead": is_synth_lead,
        "sample_rate": has_other_sample_rate,
        "family_mismatch": mismatches_family,
        "name_mismatch": mismatches_name,
        "pitch_range": is_out_of_pitch,
        "velocity_range": is_out_of_velocity,
        "silent": is_silent,
        "duplicate_note": repeats_note,
        "duplicate_audio": repeats_audio,
    }
)
"""Reason to rule, in the order in which they count."""

_FAMILY_PAIRS: Final = frozenset(enumerate(FAMILIES))
_SOURCE_PAIRS: Final = frozenset(enumerate(SOURCES))


def _repeats(keys: Sequence[Hashable]) -> Mask:
    first: dict[Hashable, int] = {}
    return _mask(first.setdefault(key, row) != row for row, key in enumerate(keys))


def _mask(flags: Iterable[bool]) -> Mask:
    return np.fromiter(flags, np.bool_)
