"""The corruption matrix: each kind of case by name, each case by its seed and number."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES
from tests.fuzz.damages import DAMAGES, FOREIGN_PAYLOAD, HUGE_LENGTHS
from tests.fuzz.files import NUM_NOTES, SHAPES, Intact, any_shape, notes, one_note
from tests.fuzz.traced import Traced, intact
from tests.pipelines.convert.records import flipped

MAX_RANGES: Final = 12


@dataclass(frozen=True)
class Case:
    """A damaged file and what it was before.

    Attributes:
      range_bytes: into which ranges it is cut.
      block_bytes: how much is read at a time.
      scan_bytes: how much is searched at a time.
    """

    file: Intact
    damaged: Traced
    range_bytes: int
    block_bytes: int
    scan_bytes: int

    def is_original(self, payload: bytes) -> bool:
        """Whether a record with this payload was written, here or inside another one."""
        # A header that says 8, put before another header, makes a sound record: its payload is the
        # other's length, and the other's checksum is that of its payload.
        is_length = len(payload) == 8 and int.from_bytes(payload, "little") in self._lengths()
        return payload in {*self.file.payloads, *self.file.embedded, FOREIGN_PAYLOAD} or is_length

    def _lengths(self) -> set[int]:
        likely = range(max(len(self.damaged), len(self.file.data)) + 1)
        return {*likely, len(FOREIGN_PAYLOAD), MAX_RECORD_BYTES, *HUGE_LENGTHS}

    def untouched(self) -> list[tuple[int, bytes]]:
        """Where whole records of the intact file stand, and their payloads."""
        return [
            (place, payload)
            for (begin, end), payload in zip(self.file.records(), self.file.payloads, strict=True)
            for place in self.damaged.places_of(begin, begin + 1)
            if self.damaged.holds(place, begin, end)
        ]


def make_case(kind: str, number: int, *, seed: int) -> Case:
    """One case, the same for the same arguments."""
    # A seed of text is hashed by SHA-512, the same in every process.
    rng = Random(f"{seed}/{kind}/{number}")  # noqa: S311 - nothing is kept secret
    file, names = _KINDS[kind](rng)
    damaged = intact(file.data)
    for name in names:
        damaged = DAMAGES[name](rng, damaged, file) if len(damaged) else damaged
    # No more ranges than that: each costs a millisecond.
    range_bytes = max(rng.randint(1, len(damaged) + 1), -(-len(damaged) // MAX_RANGES))
    if "notes" in kind:
        return Case(file, damaged, range_bytes, 2**18, 2 ** rng.randint(12, 20))
    return Case(file, damaged, range_bytes, rng.randint(1, 100), rng.randint(1, 100))


def _one(name: str, rng: Random) -> tuple[Intact, list[str]]:
    return any_shape(rng), [name]


def _shape(name: str, rng: Random) -> tuple[Intact, list[str]]:
    return SHAPES[name](rng), []


def _several(rng: Random) -> tuple[Intact, list[str]]:
    return any_shape(rng), rng.choices(list(DAMAGES), k=rng.randint(2, 5))


def _notes(rng: Random) -> tuple[Intact, list[str]]:
    return notes(rng), rng.choices(list(DAMAGES), k=1)


def _changed_notes(rng: Random) -> tuple[Intact, list[str]]:
    """Notes whose payload was damaged before it was framed: both checksums hold."""
    payload = one_note(rng.randrange(NUM_NOTES))
    for _ in range(rng.randint(1, 4)):
        # All that is not audio stands in the last bytes and the first.
        at = rng.choice([rng.randrange(len(payload)), rng.randrange(600), -rng.randint(1, 600)])
        payload = flipped(payload, at % len(payload))
    if rng.random() < 0.3:
        begin = rng.randrange(len(payload))
        payload = payload[:begin] + payload[begin + rng.randint(0, 200) :]
    return Intact((one_note(0), payload)), []


_KINDS: Final[dict[str, Callable[[Random], tuple[Intact, list[str]]]]] = {
    **{name: partial(_one, name) for name in DAMAGES},
    **{f"intact_{name}": partial(_shape, name) for name in SHAPES},
    "several": _several,
    "notes": _notes,
    "changed_notes": _changed_notes,
}

KINDS: Final = tuple(_KINDS)
"""All kinds; of those with notes a case costs fifty times the others'."""
