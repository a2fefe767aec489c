"""What disks, networks and people do to a file, one function each."""

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import Final

from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES
from tests.fuzz.files import Intact
from tests.fuzz.traced import Traced, foreign
from tests.pipelines.convert.records import frame, header

FOREIGN_PAYLOAD: Final = b"a record of another file"
HUGE_LENGTHS: Final = (MAX_RECORD_BYTES + 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**63, 2**64 - 1)

Damage = Callable[[Random, Traced, Intact], Traced]


def field_of(rng: Random, file: Intact, field: str) -> tuple[int, int]:
    """Where a field of one of the records begins and ends in the intact file."""
    begin, end = rng.choice(file.records())
    return {
        "length": (begin, begin + 8),
        "length_crc": (begin + 8, begin + 12),
        "payload": (begin + 12, end - 4),
        "payload_crc": (end - 4, end),
        "record": (begin, end),
    }[field]


def flip(field: str) -> Damage:
    """Bits of one field turned over."""

    def damage(rng: Random, data: Traced, file: Intact) -> Traced:
        for _ in range(rng.choice([1, 1, 3])):
            if places := data.places_of(*field_of(rng, file, field)):
                data = data.flipped(rng.choice(places))
        return data

    return damage


def cut(field: str) -> Damage:
    """The file ends inside one field, or before it."""

    def damage(rng: Random, data: Traced, file: Intact) -> Traced:
        places = data.places_of(*field_of(rng, file, field))
        return data[: rng.choice(places)] if places else data

    return damage


def cut_between(rng: Random, data: Traced, file: Intact) -> Traced:
    """The file ends with one of its first records."""
    return data[: place(rng, data, file, at_record=True)]


def cut_front(rng: Random, data: Traced, file: Intact) -> Traced:
    """The file has lost its beginning."""
    return data[rng.randrange(len(data) + 1) :]


def zero_hole(rng: Random, data: Traced, file: Intact) -> Traced:
    """A part was never written."""
    begin, end = block(rng, data, file)
    return data[:begin] + foreign(bytes(end - begin)) + data[end:]


def doubled(rng: Random, data: Traced, file: Intact) -> Traced:
    """A block was written twice."""
    begin, end = block(rng, data, file)
    return data[:end] + data[begin:]


def dropped(rng: Random, data: Traced, file: Intact) -> Traced:
    """A block is missing."""
    begin, end = block(rng, data, file)
    return data[:begin] + data[end:]


def swapped(rng: Random, data: Traced, file: Intact) -> Traced:
    """Two blocks took each other's place."""
    first, second = sorted([block(rng, data, file), block(rng, data, file)])
    (a, b), (c, d) = (first[0], min(first[1], second[0])), second
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def foreign_bytes(rng: Random, data: Traced, file: Intact) -> Traced:
    """Something else stands between the records, or in their place."""
    page = b"<html>502 Bad Gateway</html>"
    found = rng.choice([rng.randbytes(rng.randint(1, 40)), page, b"\xff" * 30, b"\0", b"\n"])
    return put(rng, data, file, found)


def foreign_record(rng: Random, data: Traced, file: Intact) -> Traced:
    """A sound record of another file stands there."""
    return put(rng, data, file, frame(FOREIGN_PAYLOAD))


def huge_length(rng: Random, data: Traced, file: Intact) -> Traced:
    """A header whose checksum is right and whose length nobody believes."""
    return put_header(rng, data, file, rng.choice(HUGE_LENGTHS))


def misleading_length(rng: Random, data: Traced, file: Intact) -> Traced:
    """A header whose checksum is right and whose length leads elsewhere, at times to a record."""
    at = place(rng, data, file, at_record=True)
    to = place(rng, data, file, at_record=rng.random() < 0.7)
    lengths = [0, 1, MAX_RECORD_BYTES, rng.randrange(len(data) + 1), max(to - at - 16, 0)]
    return put_header(rng, data, file, rng.choice(lengths), at=at)


def place(rng: Random, data: Traced, file: Intact, *, at_record: bool) -> int:
    """A place in the data, where one of the records begins if there is one."""
    begin, _ = rng.choice(file.records())
    places = data.places_of(begin, begin + 1) if at_record else []
    return rng.choice(places) if places else rng.randrange(len(data) + 1)


def block(rng: Random, data: Traced, file: Intact) -> tuple[int, int]:
    """A part of the data: records, blocks of a disk, or anything."""
    unit = rng.choice([1, 1, 16, 64])
    borders = [
        place(rng, data, file, at_record=True)
        if unit == 16
        else rng.randrange(len(data) + 1) // unit * unit
        for _ in range(2)
    ]
    return min(borders), max(borders)


def put(rng: Random, data: Traced, file: Intact, found: bytes) -> Traced:
    """Bytes put between others, or in their place."""
    at = place(rng, data, file, at_record=rng.random() < 0.5)
    over = rng.choice([0, len(found)])
    return data[:at] + foreign(found) + data[at + over :]


def put_header(
    rng: Random, data: Traced, file: Intact, length: int, *, at: int | None = None
) -> Traced:
    """A header put before a record, or in the place of its own."""
    if at is None:
        at = place(rng, data, file, at_record=True)
    return data[:at] + foreign(header(length)) + data[at + rng.choice([0, 12]) :]


DAMAGES: Final[Mapping[str, Damage]] = MappingProxyType(
    {
        "flip_length": flip("length"),
        "flip_length_crc": flip("length_crc"),
        "flip_payload": flip("payload"),
        "flip_payload_crc": flip("payload_crc"),
        "cut_in_length": cut("length"),
        "cut_in_length_crc": cut("length_crc"),
        "cut_in_payload": cut("payload"),
        "cut_in_payload_crc": cut("payload_crc"),
        "cut_between": cut_between,
        "cut_front": cut_front,
        "zero_hole": zero_hole,
        "doubled_block": doubled,
        "dropped_block": dropped,
        "swapped_blocks": swapped,
        "foreign_bytes": foreign_bytes,
        "foreign_record": foreign_record,
        "huge_length": huge_length,
        "misleading_length": misleading_length,
    }
)
"""By name."""
