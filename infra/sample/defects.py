"""The defects planted in the sample: each that conversion or validation knows.

A defect spoils a spare note that is written among the intact ones, so that what the pipeline has to
count follows from this table alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from infra.sample.records import Features, Values, example, frame, header
from pipelines.convert.formats.reasons import Reason
from pipelines.convert.formats.tfrecord import (
    HEADER_BYTES,
    MAX_RECORD_BYTES,
)
from pipelines.notes import NUM_SOURCE_SAMPLES

# A row that validation drops, a valid record without a row, or bytes that are not a record.
Fate = Literal["verdict", "record", "span"]

# An intact note that a defect repeats: of the same split, or of the test split and the family.
Twin = Literal["same family", "other family", "test note"]

# Turns the features of the spare note and its twin into the written ones.
ChangeFeatures = Callable[[Features, Features], Features]

# Turns the framed bytes of the spare note into the written ones.
ChangeRecord = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Defect:
    """One defect.

    Attributes:
      reason: the code that the pipeline gives.
      change: how it spoils the features; None leaves them intact.
      damage: how it spoils the framed bytes; None leaves them intact.
      twin: the note that `change` may copy from; without one it is given the note itself.
      num: how many rows, records or spans get the reason.
      splits: where it is planted.
    """

    fate: Fate
    reason: str
    change: ChangeFeatures | None = None
    damage: ChangeRecord | None = None
    twin: Twin | None = None
    num: int = 1
    splits: tuple[str, ...] = ("train",)

    def plant(self, note: Features, twin: Features) -> bytes:
        """Return the bytes to write for a spare note."""
        record = frame(example(self.change(note, twin) if self.change else note))
        return self.damage(record) if self.damage else record


def _given(**values: Values) -> ChangeFeatures:
    """Replace some features."""
    return lambda note, _: note | values


def _renamed(**values: int) -> ChangeFeatures:
    """Change pitch or velocity, and the name with them."""

    def change(note: Features, _: Features) -> Features:
        changed = note | {name: [value] for name, value in values.items()}
        instrument, pitch, velocity = (
            cast(list[Any], changed[name])[0] for name in ("instrument_str", "pitch", "velocity")
        )
        return changed | {"note_str": [b"%b-%03d-%03d" % (instrument, pitch, velocity)]}

    return change


def _another_pitch(note: Features, _: Features) -> Features:
    """Change the pitch to one that the name does not say."""
    return note | {"pitch": [cast(list[int], note["pitch"])[0] + 1]}


def _another_family_name(note: Features, _: Features) -> Features:
    """Change the family's name to another than that of its number."""
    other = b"bass" if note["instrument_family_str"] != [b"bass"] else b"vocal"
    return note | {"instrument_family_str": [other]}


def _without_velocity(note: Features, _: Features) -> Features:
    return {name: values for name, values in note.items() if name != "velocity"}


def _twins_audio(note: Features, twin: Features) -> Features:
    return note | {"audio": twin["audio"]}


def _twins_name(note: Features, twin: Features) -> Features:
    return twin | {"audio": note["audio"]}


def _one_sample_short(note: Features, _: Features) -> Features:
    return note | {"audio": _audio(note)[:-1]}


def _one_sample_nan(note: Features, _: Features) -> Features:
    audio = _audio(note).copy()
    audio[audio.size // 2] = np.nan
    return note | {"audio": audio}


def _audio(note: Features) -> NDArray[np.float32]:
    return cast(NDArray[np.float32], note["audio"])


def _flipped(position: int) -> ChangeRecord:
    """Invert all bits of one byte."""

    def damage(record: bytes) -> bytes:
        damaged = bytearray(record)
        damaged[position] ^= 0xFF
        return bytes(damaged)

    return damage


def _no_example(_: bytes) -> bytes:
    return frame(b"The checksums of this record hold, but it is no tf.train.Example.")


def _foreign_bytes(_: bytes) -> bytes:
    return b"<html><body><h1>502 Bad Gateway</h1></body></html>\n" * 20


def _too_long(record: bytes) -> bytes:
    return header(MAX_RECORD_BYTES + 1) + record[HEADER_BYTES:]


def _first_half(record: bytes) -> bytes:
    return record[: len(record) // 2]


_SILENCE: Final = np.zeros(NUM_SOURCE_SAMPLES, np.float32)
# A byte of the audio, which comes first: the names of the features are sorted.
_IN_PAYLOAD: Final = 100_000

# Every defect by its kind, in the order of the file.
DEFECTS: Final = {
    "rate of 44,100 Hz": Defect("verdict", "sample_rate", _given(sample_rate=[44_100])),
    "unknown family": Defect("verdict", "family_mismatch", _given(instrument_family=[11])),
    "family under another name": Defect("verdict", "family_mismatch", _another_family_name),
    "pitch under another name": Defect("verdict", "name_mismatch", _another_pitch),
    "pitch of 128": Defect("verdict", "pitch_range", _renamed(pitch=128)),
    "velocity of 0": Defect("verdict", "velocity_range", _renamed(velocity=0)),
    "velocity of 128": Defect(
        "verdict", "velocity_range", _renamed(velocity=128), splits=("test",)
    ),
    "silence": Defect("verdict", "silent", _given(audio=_SILENCE), splits=("train", "test")),
    "one name twice": Defect("verdict", "duplicate_note", _twins_name, twin="same family"),
    "one audio twice": Defect("verdict", "duplicate_audio", _twins_audio, twin="same family"),
    # Nobody knows which label is right, so both notes go.
    "one audio in two families": Defect(
        "verdict", "duplicate_audio", _twins_audio, twin="other family", num=2
    ),
    "audio of a test note": Defect("verdict", "leaked", _twins_audio, twin="test note"),
    "no protocol buffer": Defect("record", Reason.UNPARSABLE, damage=_no_example),
    "no velocity": Defect("record", Reason.MISSING_FEATURE, _without_velocity),
    "pitch as a float": Defect(
        "record", Reason.WRONG_TYPE, _given(pitch=np.array([60], np.float32))
    ),
    "pitch as text": Defect("record", Reason.WRONG_TYPE, _given(pitch=[b"60"])),
    "63,999 samples": Defect("record", Reason.WRONG_LENGTH, _one_sample_short),
    "a sample that is no number": Defect("record", Reason.NOT_FINITE, _one_sample_nan),
    "name that is not UTF-8": Defect(
        "record", Reason.NOT_TEXT, _given(note_str=["bass_synthetic_000-é".encode("latin-1")])
    ),
    "damaged length": Defect("span", Reason.LENGTH_CRC, damage=_flipped(0)),
    "damaged checksum of the length": Defect("span", Reason.LENGTH_CRC, damage=_flipped(8)),
    "foreign bytes": Defect("span", Reason.LENGTH_CRC, damage=_foreign_bytes),
    "damaged payload": Defect(
        "span", Reason.PAYLOAD_CRC, damage=_flipped(_IN_PAYLOAD), splits=("train", "test")
    ),
    "damaged checksum of the payload": Defect("span", Reason.PAYLOAD_CRC, damage=_flipped(-1)),
    "incredible length": Defect("span", Reason.RECORD_TOO_LONG, damage=_too_long),
    # The last one of the table is at the end of the file.
    "file that ends too early": Defect("span", Reason.TRUNCATED, damage=_first_half),
}
