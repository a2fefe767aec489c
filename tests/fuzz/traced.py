"""Bytes that know where they come from, so that a damaged file still tells what is untouched."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.pipelines.convert.records import flipped


@dataclass(frozen=True)
class Traced:
    """Bytes of a damaged file.

    Attributes:
      origin: int64 [len(data)], each byte's place in the intact file; -1 for a byte that is not
        of it, or is changed.
    """

    data: bytes
    origin: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, part: slice) -> "Traced":
        return Traced(self.data[part], self.origin[part])

    def __add__(self, other: "Traced") -> "Traced":
        return Traced(self.data + other.data, np.concatenate([self.origin, other.origin]))

    def flipped(self, place: int) -> "Traced":
        """The same with a bit of one byte turned over."""
        origin = self.origin.copy()
        origin[place] = -1
        return Traced(flipped(self.data, place), origin)

    def places_of(self, begin: int, end: int) -> list[int]:
        """Where the bytes [begin, end) of the intact file are now, each as often as it is there."""
        found = np.flatnonzero((self.origin >= begin) & (self.origin < end))
        return [int(place) for place in found]

    def holds(self, place: int, begin: int, end: int) -> bool:
        """Whether the bytes [begin, end) of the intact file stand here untouched."""
        there = self.origin[place : place + end - begin]
        return len(there) == end - begin and bool((there == np.arange(begin, end)).all())


def intact(data: bytes) -> Traced:
    """A file before any damage."""
    return Traced(data, np.arange(len(data)))


def foreign(data: bytes) -> Traced:
    """Bytes that are of no file."""
    return Traced(data, np.full(len(data), -1))
