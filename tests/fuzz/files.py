"""Intact TFRecord files of every shape that could mislead a reader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from random import Random
from types import MappingProxyType
from typing import Final

from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES
from tests.pipelines.convert.records import frame, header, note, tfrecord

NUM_NOTES: Final = 6


@dataclass(frozen=True)
class Intact:
    """An intact file.

    Attributes:
      payloads: of its records, in order.
      embedded: payloads of whole records that stand inside payloads.
    """

    payloads: tuple[bytes, ...]
    embedded: frozenset[bytes] = field(default_factory=frozenset)

    @property
    def data(self) -> bytes:
        """The file."""
        return tfrecord(*self.payloads)

    def records(self) -> list[tuple[int, int]]:
        """Where each record begins and ends."""
        ends = [0]
        for payload in self.payloads:
            ends.append(ends[-1] + len(payload) + 16)
        return list(pairwise(ends))


def small(rng: Random) -> Intact:
    """A few records of some bytes."""
    return Intact(tuple(rng.randbytes(rng.randrange(60)) for _ in range(rng.randint(1, 8))))


def tiny(rng: Random) -> Intact:
    """Many records of hardly a byte."""
    return Intact(tuple(rng.randbytes(rng.randrange(4)) for _ in range(rng.randint(20, 60))))


def empty(rng: Random) -> Intact:
    """Records without a payload."""
    return Intact((b"",) * rng.randint(1, 60))


def zeros(rng: Random) -> Intact:
    """Payloads of zeros, which look like the high bytes of a length."""
    return Intact(tuple(bytes(rng.randrange(80)) for _ in range(rng.randint(1, 6))))


def nested(rng: Random) -> Intact:
    """Payloads that hold whole TFRecords, and those others again."""
    embedded = set[bytes]()

    def payload(depth: int) -> bytes:
        parts = [rng.randbytes(rng.randrange(12))]
        for _ in range(rng.randint(1, 3) if depth else 0):
            inner = payload(rng.randrange(depth))
            embedded.add(inner)
            parts += [frame(inner), rng.randbytes(rng.choice([0, 0, 3]))]
        return b"".join(parts)

    payloads = tuple(payload(rng.randint(0, 2)) for _ in range(rng.randint(1, 4)))
    return Intact(payloads, frozenset(embedded))


def headers(rng: Random) -> Intact:
    """Payloads of headers whose records are not there."""

    def payload() -> bytes:
        lengths = [rng.choice([0, 7, 40, 300, MAX_RECORD_BYTES]) for _ in range(rng.randint(1, 9))]
        # The byte between keeps a length of 0 from having its payload's checksum behind it.
        return b"?".join(header(length) for length in lengths) + b"?"

    return Intact(tuple(payload() for _ in range(rng.randint(1, 5))))


def notes(rng: Random) -> Intact:
    """Records as long as NSynth's, that can become notes."""
    return Intact(
        tuple(one_note(number) for number in rng.sample(range(NUM_NOTES), rng.randint(1, 3)))
    )


@cache
def one_note(number: int) -> bytes:
    """A sound note's payload; another for each number below NUM_NOTES."""
    return note(number)


SHAPES: Final[Mapping[str, Callable[[Random], Intact]]] = MappingProxyType(
    {
        "small": small,
        "tiny": tiny,
        "empty": empty,
        "zeros": zeros,
        "nested": nested,
        "headers": headers,
    }
)
"""Files of at most some kilobytes, by name."""


def any_shape(rng: Random) -> Intact:
    """One of `SHAPES`, often a plain one."""
    return SHAPES[rng.choice(["small", "small", *SHAPES])](rng)
