"""The faults planted in the sample: each that conversion or validation knows.

A fault spoils a spare note that is written among the intact ones, so that what the pipeline has to
count follows from this table alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from infra.sample.records import Features, Values, example, frame, header
from pipelines.convert.example import (
    MISSING_FEATURE,
    NOT_FINITE,
    NOT_TEXT,
    UNPARSABLE,
    WRONG_LENGTH,
    WRONG_TYPE,
)
from pipelines.convert.tfrecord import (
    HEADER_BYTES,
    LENGTH_CRC,
    MAX_RECORD_BYTES,
    PAYLOAD_CRC,
    RECORD_TOO_LONG,
    TRUNCATED,
)
from pipelines.notes import FAMILIES

Fate = Literal["verdict", "quarantined", "skipped"]
"""A row that validation drops, a sound record that becomes no row, or bytes that are no record."""

Twin = Literal["same family", "other family", "test note"]
"""An intact note that a fault repeats: of the spoiled note's split, or of its family in test."""


def _unchanged(features: Features, twin: Features) -> Features:
    return features


def _as_is(record: bytes) -> bytes:
    return record


@dataclass(frozen=True)
class Defect:
    """One fault.

    Attributes:
      reason: the code that the pipeline gives.
      features: what becomes of the spare note's features; the second argument are its twin's.
      record: what becomes of the framed bytes.
      twin: which note the second argument is; unused without one.
      num: how many rows, records or spans get the reason.
      splits: where it is planted.
    """

    name: str
    fate: Fate
    reason: str
    features: Callable[[Features, Features], Features] = _unchanged
    record: Callable[[bytes], bytes] = _as_is
    twin: Twin | None = None
    num: int = 1
    splits: tuple[str, ...] = ("train",)

    def plant(self, note: Features, twin: Features) -> bytes:
        """The bytes to write for a spare note."""
        return self.record(frame(example(self.features(note, twin))))


def _set(**values: Values) -> Callable[[Features, Features], Features]:
    """Gives features other values."""
    return lambda note, _: note | values


def _without(name: str) -> Callable[[Features, Features], Features]:
    return lambda note, _: {key: values for key, values in note.items() if key != name}


def _repeat(*names: str) -> Callable[[Features, Features], Features]:
    """Gives features the values of the twin."""
    return lambda note, twin: note | {name: twin[name] for name in names}


def _all_but_audio(note: Features, twin: Features) -> Features:
    return twin | {"audio": note["audio"]}


def _change_audio(
    change: Callable[[np.ndarray[tuple[int], np.dtype[np.float32]]], Values],
) -> Callable[[Features, Features], Features]:
    return lambda note, _: note | {"audio": change(np.array(note["audio"], np.float32))}
