"""TFRecord framing: records, their checksums, and the next record after damage.

A record is a little-endian uint64 length, the masked CRC32C of those 8 bytes, the payload, and the
masked CRC32C of the payload. Nothing in it marks a beginning, so a reader that lost its place finds
the next record by the two checksums. A CRC is linear over XOR, so checksums of many lengths, and of
overlapping slices, are computed at once.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details, and for
the checksum of two parts put together, crc32_combine of zlib.
"""

import struct
from bisect import bisect_left
from collections.abc import Generator
from typing import Any, Final, NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.reasons import Reason

_MASK_DELTA: Final = 0xA282EAD8
# Slices are shorter than 2**32 bytes.
_LENGTH_BITS: Final = 32


def masked_crc(data: bytes) -> int:
    """Return the checksum that a TFRecord stores of `data`."""
    crc = google_crc32c.value(data)
    return int(((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)


def length_crcs(lengths: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the masked checksums of lengths below 2**32, as 8 bytes each; uint32 [n]."""
    return _masked(_CRC_OF_ZERO ^ _applied(_LENGTH_TABLES, lengths))


def slice_crcs(
    data: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.uint32]:
    """Return the masked checksum of each `data[start:end]`, uint32 [n].

    The data is gone through once, however many slices there are and however much they overlap.
    """
    borders, places = np.unique(np.concatenate([starts, ends]), return_inverse=True)
    crcs, crc, at = np.empty(len(borders), np.uint32), 0, 0
    for number, border in enumerate(borders.tolist()):
        crc = google_crc32c.extend(crc, data[at:border])
        crcs[number], at = crc, border
    before, whole = crcs[places[: len(starts)]], crcs[places[len(starts) :]]
    return _masked(whole ^ _behind_zeros(before, (ends - starts).astype(np.uint32)))


def _masked(crcs: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (crcs >> np.uint32(15) | crcs << np.uint32(17)) + np.uint32(_MASK_DELTA)


def _behind_zeros(crcs: NDArray[np.uint32], nums: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return each checksum's share in the checksum of the same data and `num` more bytes."""
    crcs = crcs.copy()
    for bit, tables in enumerate(_ZEROS_TABLES):
        chosen = nums >> np.uint32(bit) & np.uint32(1) == 1
        crcs[chosen] = _applied(tables, crcs[chosen])
    return crcs


def _applied(tables: NDArray[np.uint32], values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Apply a linear map of 32 bits, given by its value for each byte in each of four places."""
    result = np.zeros(values.shape, np.uint32)
    for position, table in enumerate(tables):
        result ^= table[values >> np.uint32(8 * position) & np.uint32(0xFF)]
    return result


def _tables(linear: Any) -> NDArray[np.uint32]:
    """Return the tables of a linear map, uint32 [4, 256]."""
    return np.array(
        [[linear(byte << 8 * position) for byte in range(256)] for position in range(4)], np.uint32
    )


def _zeros_tables() -> list[NDArray[np.uint32]]:
    """Return the maps that 1, 2, 4, 8 ... bytes apply to the checksum before them."""
    one = _tables(lambda crc: google_crc32c.extend(crc, b"\0") ^ google_crc32c.value(b"\0"))
    maps = [one]
    while len(maps) < _LENGTH_BITS:
        # A map applied to its own tables is the map twice.
        maps.append(_applied(maps[-1], maps[-1]))
    return maps


_CRC_OF_ZERO: Final = np.uint32(google_crc32c.value(bytes(8)))
_LENGTH_TABLES: Final = _tables(
    lambda length: google_crc32c.value(length.to_bytes(8, "little")) ^ int(_CRC_OF_ZERO)
)
_ZEROS_TABLES: Final = _zeros_tables()


HEADER_BYTES: Final = 12
FOOTER_BYTES: Final = 4
FRAME_BYTES: Final = HEADER_BYTES + FOOTER_BYTES

# The longest plausible payload; a record of NSynth has a quarter of a mebibyte.
MAX_RECORD_BYTES: Final = 16 * 2**20


_HEADER: Final = struct.Struct("<QI")
_CRC: Final = struct.Struct("<I")
_SCAN_BYTES: Final = 2**20

# How often a damaged record is read again: its header, then the end that the header gives.
_REREADS: Final = 2


class Record(NamedTuple):
    """A record whose two checksums hold.

    Attributes:
      offset: where its header begins.
    """

    offset: int
    payload: bytes

    @property
    def end(self) -> int:
        """Return the offset after the record."""
        return self.offset + len(self.payload) + FRAME_BYTES


class Span(NamedTuple):
    """Bytes that belong to no sound record; `reason` is a `Reason`."""

    offset: int
    length: int
    reason: str

    @property
    def end(self) -> int:
        """Return the offset after the span."""
        return self.offset + self.length


class Position(NamedTuple):
    """The position of a reader.

    Attributes:
      synced: whether a record is expected to begin here; otherwise the reader is looking for one.
    """

    offset: int
    synced: bool


START: Final = Position(0, synced=True)


class RecordScanner:
    """Finds valid records, searching each part of a file once however often it is asked.

    Its work grows with the bytes searched: neither damage every few bytes nor headers every few
    bytes, each of which claims a long record, make it search or check anything again.

    Args:
      end: records that begin here or later are not looked for.
      scan_bytes: how much is searched at a time.
    """

    def __init__(self, window: Window, *, end: int, scan_bytes: int = _SCAN_BYTES) -> None:
        self._window = window
        self._end = end
        self._scan_bytes = scan_bytes
        self._searched = range(0)
        self._sound: list[int] = []

    def first(self, start: int) -> int | None:
        """Return the first offset from `start` on at which a valid record begins."""
        while start < self._end:
            if start not in self._searched:
                self._search(start)
            at = bisect_left(self._sound, start)
            if at < len(self._sound):
                return self._sound[at]
            start = self._searched.stop
        return None

    def rules_out(self, offset: int) -> bool:
        """Return whether it is known that no valid record begins here."""
        if offset not in self._searched:
            return False
        at = bisect_left(self._sound, offset)
        return at == len(self._sound) or self._sound[at] != offset

    def _search(self, start: int) -> None:
        stop = min(start + self._scan_bytes, self._end)
        offsets, lengths = find_headers(self._window.bytes_at(start, stop + HEADER_BYTES - 1))
        ends = start + offsets + lengths + FRAME_BYTES
        self._window.reaches(int(ends.max(initial=start)), keep=start)
        whole = ends <= self._window.size
        offsets, lengths = offsets[whole], lengths[whole]
        data = self._window.bytes_at(start, int(ends[whole].max(initial=start)))
        payloads = offsets + HEADER_BYTES
        crcs = slice_crcs(data, payloads, payloads + lengths)
        sound = crcs == _integers(data, payloads + lengths)
        self._searched = range(start, stop)
        self._sound = (start + offsets[sound]).tolist()


def read_records(
    window: Window, start: Position, end: int, *, scan_bytes: int = _SCAN_BYTES
) -> Generator[Record | Span, None, Position]:
    """Read the records whose header begins in [start, end), and the spans between them.

    Looking for a first record is not reported: who reads a range without its predecessor cannot
    tell a gap from the tail of a record that began before. From the first record on, each byte is
    reported once.

    Args:
      scan_bytes: how much is searched at a time for a record.

    Yields:
      Records and spans in order, without a gap.

    Returns:
      The position of the reader: after the last record, or at `end`, still searching.
    """
    finder = RecordScanner(window, end=end, scan_bytes=scan_bytes)
    offset = start.offset
    if not start.synced:
        found = finder.first(offset)
        if found is None:
            return Position(min(end, window.size), synced=False)
        offset = found
    while offset < end and window.reaches(offset + 1, keep=offset):
        record = record_at(window, offset, finder)
        for _ in range(_REREADS):
            if isinstance(record, Record) or not window.mended(offset, record.end):
                break
            # A transfer was at fault; what the finder knows is of the bytes that came first.
            record = record_at(window, offset, None)
        if isinstance(record, Record):
            yield record
            offset = record.end
            continue
        if record.reason == Reason.PAYLOAD_CRC and _continues(window, record.end, keep=offset):
            yield record
            offset = record.end
            continue
        found = finder.first(offset + 1)
        stop = min(end, window.size) if found is None else found
        yield Span(offset, stop - offset, record.reason)
        if found is None:
            return Position(stop, synced=False)
        offset = found
    return Position(offset, synced=True)


def record_at(window: Window, offset: int, finder: RecordScanner | None) -> Record | Span:
    """Return the record at `offset`, or a span of the length in its header with its fault.

    Args:
      finder: earlier results about the bytes in the window, if any.
    """
    header = window.bytes_at(offset, offset + HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return Span(offset, len(header), Reason.TRUNCATED)
    length, length_crc = _HEADER.unpack(header)
    if masked_crc(header[:8]) != length_crc:
        return Span(offset, HEADER_BYTES, Reason.LENGTH_CRC)
    if length > MAX_RECORD_BYTES:
        return Span(offset, HEADER_BYTES, Reason.RECORD_TOO_LONG)
    payload_at = offset + HEADER_BYTES
    end = payload_at + length + FOOTER_BYTES
    if not window.reaches(end, keep=offset):
        return Span(offset, window.size - offset, Reason.TRUNCATED)
    if finder is None or not finder.rules_out(offset):
        payload = window.bytes_at(payload_at, end - FOOTER_BYTES, keep=offset)
        (payload_crc,) = _CRC.unpack(window.bytes_at(end - FOOTER_BYTES, end, keep=offset))
        if masked_crc(payload) == payload_crc:
            return Record(offset, payload)
    return Span(offset, end - offset, Reason.PAYLOAD_CRC)


def find_headers(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the offsets of valid headers in `data` and their lengths, int64 [n] each."""
    octets = np.frombuffer(data, np.uint8)
    num = max(len(octets) - HEADER_BYTES + 1, 0)
    # A length of at most 2**24 leaves its four high bytes zero, which few other places do.
    zero = octets == 0
    pairs = zero[:-1] & zero[1:]
    fours = pairs[:-2] & pairs[2:]
    plausible = fours[4 : 4 + num] & (octets[3 : 3 + num] <= 1)
    # No such length has the checksum zero, which spares holes of zeros the arithmetic.
    plausible &= ~fours[8 : 8 + num]
    at = np.flatnonzero(plausible)
    lengths = _integers(data, at)
    holds = (length_crcs(lengths) == _integers(data, at + 8)) & (lengths <= MAX_RECORD_BYTES)
    return at[holds], lengths[holds].astype(np.int64)


def _integers(data: bytes, offsets: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the little-endian uint32 at each offset."""
    octets = np.frombuffer(data, np.uint8)
    integers = np.zeros(len(offsets), np.uint32)
    for byte in range(4):
        integers |= octets[offsets + byte].astype(np.uint32) << np.uint32(8 * byte)
    return integers


def _continues(window: Window, offset: int, *, keep: int) -> bool:
    """Return whether the file ends here, or a valid header follows."""
    header = window.bytes_at(offset, offset + HEADER_BYTES, keep=keep)
    if len(header) < HEADER_BYTES:
        return offset == window.size
    length, length_crc = _HEADER.unpack(header)
    return bool(length <= MAX_RECORD_BYTES and masked_crc(header[:8]) == length_crc)
