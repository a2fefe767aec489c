"""TFRecord framing: records, their checksums, and the way back to them after damage.

A record is a little-endian uint64 length, the masked CRC32C of those 8 bytes, the payload, and the
masked CRC32C of the payload. Nothing in it marks a beginning, so that a reader which lost its place
finds the next record by the two checksums. Knows nothing of what a payload means.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import struct
from collections import deque
from collections.abc import Callable, Generator
from typing import Final, NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

HEADER_BYTES: Final = 12
FOOTER_BYTES: Final = 4
FRAME_BYTES: Final = HEADER_BYTES + FOOTER_BYTES

MAX_RECORD_BYTES: Final = 16 * 2**20
"""The longest payload believed; a record of NSynth has a quarter of a mebibyte."""

LENGTH_CRC: Final = "length_crc"
PAYLOAD_CRC: Final = "payload_crc"
TRUNCATED: Final = "truncated"
RECORD_TOO_LONG: Final = "record_too_long"
REASONS: Final = (LENGTH_CRC, PAYLOAD_CRC, TRUNCATED, RECORD_TOO_LONG)
"""Why bytes are skipped: the first thing that was wrong where the reader lost its place."""

_HEADER: Final = struct.Struct("<QI")
_CRC: Final = struct.Struct("<I")
_MASK_DELTA: Final = 0xA282EAD8
_SCAN_BYTES: Final = 2**20


class Record(NamedTuple):
    """A record whose two checksums hold.

    Attributes:
      offset: where its header begins.
    """

    offset: int
    payload: bytes

    @property
    def end(self) -> int:
        """The offset behind the record."""
        return self.offset + len(self.payload) + FRAME_BYTES


class Span(NamedTuple):
    """Bytes that belong to no sound record; `reason` is one of `REASONS`."""

    offset: int
    length: int
    reason: str

    @property
    def end(self) -> int:
        """The offset behind the span."""
        return self.offset + self.length


class Position(NamedTuple):
    """Where a reader stands.

    Attributes:
      synced: whether a record is expected to begin here; otherwise the reader is looking for one.
    """

    offset: int
    synced: bool


class Window:
    """The bytes of one file, read forward in blocks and kept no longer than needed.

    Args:
      read: returns bytes [start, end) of the file.
      size: bytes in the file.
      block_bytes: how much one call of `read` asks for.
    """

    def __init__(
        self, read: Callable[[int, int], bytes], *, size: int, block_bytes: int = 8 * 2**20
    ) -> None:
        self.size = size
        self._read = read
        self._block_bytes = block_bytes
        self._blocks: deque[tuple[int, bytes]] = deque()

    def bytes_at(self, start: int, end: int) -> bytes:
        """Bytes [start, end), cut at the end of the file; what lies before `start` is let go."""
        end = min(end, self.size)
        self._hold(start, end)
        parts = []
        for offset, block in self._blocks:
            if offset >= end:
                break
            parts.append(block[max(start - offset, 0) : end - offset])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _hold(self, start: int, end: int) -> None:
        if not self._blocks or start < self._blocks[0][0] or start > self._held_end():
            self._blocks.clear()
        while len(self._blocks) > 1 and self._blocks[1][0] <= start:
            self._blocks.popleft()
        while (at := self._held_end() if self._blocks else start) < end:
            block = self._read(at, min(at + self._block_bytes, self.size))
            if not block:
                raise OSError(
                    f"the source ends at byte {at} but had {self.size} when it was planned"
                )
            self._blocks.append((at, block))

    def _held_end(self) -> int:
        offset, block = self._blocks[-1]
        return offset + len(block)


def masked_crc(data: bytes) -> int:
    """The checksum that a TFRecord stores of `data`."""
    crc = google_crc32c.value(data)
    return int(((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)


def read_records(
    window: Window, start: Position, end: int
) -> Generator[Record | Span, None, Position]:
    """Reads the records whose header begins in [start, end), and the spans between them.

    Looking for a first record is not reported: who reads a range without its predecessor cannot
    tell a gap from the tail of a record that began before. From the first record on, each byte is
    reported once.

    Yields:
      Records and spans in order, without a gap.

    Returns:
      Where the reader stands: behind the last record, or at `end`, still looking.
    """
    offset = start.offset
    if not start.synced:
        found = scan(window, offset, end)
        if found is None:
            return Position(end, synced=False)
        offset = found
    while offset < end:
        record = record_at(window, offset)
        if isinstance(record, Record):
            yield record
            offset = record.end
            continue
        if record.reason == PAYLOAD_CRC and _continues(window, record.end):
            yield record
            offset = record.end
            continue
        found = scan(window, offset + 1, end)
        stop = end if found is None else found
        yield Span(offset, stop - offset, record.reason)
        if found is None:
            return Position(end, synced=False)
        offset = found
    return Position(offset, synced=True)


def record_at(window: Window, offset: int) -> Record | Span:
    """The record at `offset`, or what is wrong there, as long as its header says it is."""
    header = window.bytes_at(offset, offset + HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return Span(offset, len(header), TRUNCATED)
    length, length_crc = _HEADER.unpack(header)
    if masked_crc(header[:8]) != length_crc:
        return Span(offset, HEADER_BYTES, LENGTH_CRC)
    if length > MAX_RECORD_BYTES:
        return Span(offset, HEADER_BYTES, RECORD_TOO_LONG)
    payload_at = offset + HEADER_BYTES
    end = payload_at + length + FOOTER_BYTES
    if end > window.size:
        return Span(offset, window.size - offset, TRUNCATED)
    payload = window.bytes_at(payload_at, end - FOOTER_BYTES)
    (payload_crc,) = _CRC.unpack(window.bytes_at(end - FOOTER_BYTES, end))
    if masked_crc(payload) != payload_crc:
        return Span(offset, end - offset, PAYLOAD_CRC)
    return Record(offset, payload)


def scan(window: Window, start: int, end: int) -> int | None:
    """The first offset in [start, end) at which a sound record begins."""
    for chunk_start in range(start, end, _SCAN_BYTES):
        chunk_end = min(chunk_start + _SCAN_BYTES, end)
        data = window.bytes_at(chunk_start, chunk_end + HEADER_BYTES - 1)
        for candidate in header_offsets(data):
            if isinstance(record_at(window, chunk_start + candidate), Record):
                return chunk_start + candidate
    return None


def header_offsets(data: bytes) -> list[int]:
    """Where in `data` 12 bytes stand that are a header: a believable length and its checksum."""
    octets = np.frombuffer(data, np.uint8)
    num = len(octets) - HEADER_BYTES + 1
    if num <= 0:
        return []
    # A length of at most 2**24 leaves its four high bytes zero, which few other places do.
    zero = octets == 0
    pairs = zero[:-1] & zero[1:]
    fours = pairs[:-2] & pairs[2:]
    plausible = fours[4 : 4 + num] & (octets[3 : 3 + num] <= 1)
    # No such length has the checksum zero, which spares holes of zeros the arithmetic.
    plausible &= ~fours[8 : 8 + num]
    at = np.flatnonzero(plausible)
    heads = octets[at[:, np.newaxis] + np.arange(HEADER_BYTES)]  # [num_candidates, 12]
    lengths = heads[:, :4].copy().view("<u4")[:, 0]
    stored = heads[:, 8:12].copy().view("<u4")[:, 0]
    holds = (length_crcs(lengths) == stored) & (lengths <= MAX_RECORD_BYTES)
    return [int(offset) for offset in at[holds]]


def length_crcs(lengths: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The masked checksums of lengths below 2**32, as 8 bytes each."""
    crc = np.full(len(lengths), _CRC_OF_ZERO, np.uint32)
    for position, table in enumerate(_LENGTH_TABLES):
        crc ^= table[lengths >> np.uint32(8 * position) & np.uint32(0xFF)]
    return (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(_MASK_DELTA)


def _continues(window: Window, offset: int) -> bool:
    """Whether the file goes on here as it should: by its end, or by the header of a record."""
    return offset == window.size or bool(
        header_offsets(window.bytes_at(offset, offset + HEADER_BYTES))
    )


def _length_tables() -> list[NDArray[np.uint32]]:
    # CRC is affine over XOR: the checksum of a length is that of zero, changed by each byte alone.
    zero = google_crc32c.value(bytes(8))
    return [
        np.array(
            [
                google_crc32c.value((byte << 8 * position).to_bytes(8, "little")) ^ zero
                for byte in range(256)
            ],
            np.uint32,
        )
        for position in range(4)
    ]


_CRC_OF_ZERO: Final = np.uint32(google_crc32c.value(bytes(8)))
_LENGTH_TABLES: Final = _length_tables()
