"""Rules of validation, each a function that returns a mask of the notes which break it.

Rules are applied in order, and only to notes that no rule before has dropped: the first reason
counts, and a dropped note does not make another one a duplicate. They read no audio.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.notes import FAMILIES, SAMPLE_RATE_HZ, SOURCES

# Raised whenever a rule changes what it drops.
RULES_VERSION: Final = 1

SYNTH_LEAD: Final = "synth_lead"

# Reasons that need more than one data set, so that no rule here gives them: the same audio is in
# training and test data, and a note of the held-out set or of one of its instruments.
LEAKED: Final = "leaked"
HELD_OUT: Final = "gate"

# -80 dB of full scale, about three steps of a 16-bit sample: what is left is rounding noise.
SILENT_PEAK: Final = 1e-4

# The columns that the rules read.
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


Columns = Mapping[str, Sequence[Any]]
Mask = NDArray[np.bool_]

_NAME: Final = re.compile(r"(?P<family>.+)_(?P<source>[a-z]+)_\d+")


def find_reasons(notes: pa.Table) -> list[str | None]:
    """Return the reason for which each note is dropped, None for a note that is kept.

    Args:
      notes: the columns `COLUMNS` of all notes of a data set, in order.
    """
    dropped: NDArray[np.object_] = np.full(notes.num_rows, None, object)
    alive = np.arange(notes.num_rows)
    for reason, broken_by in RULES.items():
        broken = broken_by(notes.take(alive).to_pydict())
        dropped[alive[broken]] = reason
        alive = alive[~broken]
    return [None if reason is None else str(reason) for reason in dropped]


def is_defect(reason: str) -> bool:
    """Return whether a reason means that something is wrong with a note.

    Notes of synth_lead are valid but not of a class; leaked and held-out ones are kept for another
    purpose.
    """
    return reason not in (SYNTH_LEAD, LEAKED, HELD_OUT)


def is_synth_lead(notes: Columns) -> Mask:
    """Mark notes of the family that only the train split has, which is not a class."""
    lead = FAMILIES.index("synth_lead")
    pairs = zip(notes["instrument_family"], notes["instrument_family_str"], strict=True)
    return _mask(pair == (lead, "synth_lead") for pair in pairs)


def has_other_sample_rate(notes: Columns) -> Mask:
    """Mark notes that were recorded at another rate than resampling assumes."""
    return _mask(rate != SAMPLE_RATE_HZ for rate in notes["sample_rate"])


def mismatches_family(notes: Columns) -> Mask:
    """Mark notes whose number and name of family, or of source, differ."""
    families = zip(notes["instrument_family"], notes["instrument_family_str"], strict=True)
    sources = zip(notes["instrument_source"], notes["instrument_source_str"], strict=True)
    return ~_mask(pair in _FAMILY_PAIRS for pair in families) | ~_mask(
        pair in _SOURCE_PAIRS for pair in sources
    )


def mismatches_name(notes: Columns) -> Mask:
    """Mark notes whose `note_str` or `instrument_str` contradicts their other columns."""
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
    """Mark pitches that MIDI does not have; the data set uses 9 to 120."""
    return _mask(not 0 <= pitch <= 127 for pitch in notes["pitch"])


def is_out_of_velocity(notes: Columns) -> Mask:
    """Mark velocities that MIDI does not have; 0 would end the note."""
    return _mask(not 1 <= velocity <= 127 for velocity in notes["velocity"])


def is_silent(notes: Columns) -> Mask:
    """Mark notes whose original samples all stay below `SILENT_PEAK`."""
    return _mask(peak < SILENT_PEAK for peak in notes["peak"])


def repeats_note(notes: Columns) -> Mask:
    """Mark notes whose `note_str` an earlier note has."""
    return _repeats(notes["note_str"])


def repeats_audio(notes: Columns) -> Mask:
    """Mark notes whose samples an earlier note has; all of them if their families differ."""
    families: dict[Hashable, set[Hashable]] = {}
    for digest, family in zip(notes["audio_digest"], notes["instrument_family"], strict=True):
        families.setdefault(digest, set()).add(family)
    contradicted = _mask(len(families[digest]) > 1 for digest in notes["audio_digest"])
    return contradicted | _repeats(notes["audio_digest"])


# The rule of each reason, in the order in which they count.
RULES: Final[Mapping[str, Callable[[Columns], Mask]]] = MappingProxyType(
    {
        SYNTH_LEAD: is_synth_lead,
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


_FAMILY_PAIRS: Final = frozenset(enumerate(FAMILIES))
_SOURCE_PAIRS: Final = frozenset(enumerate(SOURCES))


def _repeats(keys: Sequence[Hashable]) -> Mask:
    first: dict[Hashable, int] = {}
    return _mask(first.setdefault(key, row) != row for row, key in enumerate(keys))


def _mask(flags: Iterable[bool]) -> Mask:
    return np.fromiter(flags, np.bool_)
