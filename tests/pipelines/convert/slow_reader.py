"""What a TFRecord file holds, read the slow and obvious way: the truth for the fast reader."""

import struct
from typing import NamedTuple

from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES
from tests.pipelines.convert.records import crc


class Reading(NamedTuple):
    """Records as (offset, payload), the bytes between them as (offset, length, reason)."""

    records: list[tuple[int, bytes]]
    spans: list[tuple[int, int, str]]


def read(data: bytes) -> Reading:
    """Goes through a file from its first byte, and after damage byte by byte."""
    reading, offset = Reading([], []), 0
    while offset < len(data):
        payload = sound_record(data, offset)
        if payload is not None:
            reading.records.append((offset, payload))
            offset += len(payload) + 16
            continue
        reason, end = wrong(data, offset)
        if reason != "payload_crc" or not (end == len(data) or believable(data, end)):
            end = offset + 1
            while end < len(data) and sound_record(data, end) is None:
                end += 1
        reading.spans.append((offset, end - offset, reason))
        offset = end
    return reading


def believable(data: bytes, offset: int) -> bool:
    """Whether a header stands here, its checksum right and its length believable."""
    octets = data[offset : offset + 12]
    return (
        len(octets) == 12
        and crc(octets[:8]) == octets[8:]
        and struct.unpack("<Q", octets[:8])[0] <= MAX_RECORD_BYTES
    )


def sound_record(data: bytes, offset: int) -> bytes | None:
    """The payload of the sound record that begins here, if one does."""
    if not believable(data, offset):
        return None
    (length,) = struct.unpack("<Q", data[offset : offset + 8])
    payload = data[offset + 12 : offset + 12 + length]
    stored = data[offset + 12 + length : offset + 16 + length]
    return payload if len(payload) == length and stored == crc(payload) else None


def wrong(data: bytes, offset: int) -> tuple[str, int]:
    """What is wrong with the record here, and where it would end."""
    octets = data[offset : offset + 12]
    if len(octets) < 12:
        return "truncated", len(data)
    if crc(octets[:8]) != octets[8:]:
        return "length_crc", offset
    (length,) = struct.unpack("<Q", octets[:8])
    end = offset + 16 + length
    if length > MAX_RECORD_BYTES:
        return "record_too_long", end
    return ("truncated", len(data)) if end > len(data) else ("payload_crc", end)
