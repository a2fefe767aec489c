import struct
from collections.abc import Generator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.reasons import Reason
from pipelines.convert.formats.tfrecord import (
    MAX_RECORD_BYTES,
    Position,
    Record,
    Span,
    find_headers,
    read_records,
)
from tests.pipelines.convert import slow_reader
from tests.pipelines.convert.damage import damaged_files, intact_files
from tests.pipelines.convert.records import flipped, frame, header, reader, tfrecord

START = Position(0, synced=True)
SCAN_BYTES = 2**20
"""What the reader scans at a time."""


def window(data: bytes, block_bytes: int = 8 * 2**20) -> Window:
    return Window(reader(data), size=len(data), block_bytes=block_bytes)


def read_all(
    data: bytes,
    start: Position = START,
    end: int | None = None,
    *,
    block_bytes: int = 8 * 2**20,
    scan_bytes: int = SCAN_BYTES,
) -> tuple[list[Record], list[Span], Position]:
    records, spans, stop = list[Record](), list[Span](), start

    def items() -> Generator[Record | Span, None, None]:
        nonlocal stop
        limit = len(data) if end is None else end
        opened = window(data, block_bytes)
        stop = yield from read_records(opened, start, limit, scan_bytes=scan_bytes)

    for item in items():
        if isinstance(item, Record):
            records.append(item)
        else:
            spans.append(item)
    return records, spans, stop


@given(st.one_of(damaged_files, st.binary(max_size=64)))
@example(b"")
@example(header(0))
@example(header(MAX_RECORD_BYTES) + header(MAX_RECORD_BYTES + 1) + header(2**32))
@example(bytes(40) + header(256))
def test_find_headers_equals_a_search_byte_by_byte(data: bytes) -> None:
    expected = [at for at in range(len(data)) if slow_reader.believable(data, at)]
    offsets, lengths = find_headers(data)
    assert offsets.tolist() == expected
    assert lengths.tolist() == [struct.unpack_from("<Q", data, at)[0] for at in expected]


@given(damaged_files, st.integers(1, 40), st.integers(1, 40))
def test_read_records_equals_the_slow_reader(
    data: bytes, block_bytes: int, scan_bytes: int
) -> None:
    records, spans, stop = read_all(data, block_bytes=block_bytes, scan_bytes=scan_bytes)
    truth = slow_reader.read(data)
    assert [tuple(record) for record in records] == truth.records
    assert [tuple(span) for span in spans] == truth.spans
    assert stop.offset == len(data)


@given(damaged_files)
def test_read_records_accounts_for_every_byte(data: bytes) -> None:
    records, spans, _ = read_all(data)
    parts = sorted([(r.offset, r.end) for r in records] + [(s.offset, s.end) for s in spans])
    assert [0, *(end for _, end in parts)] == [*(offset for offset, _ in parts), len(data)]


@given(intact_files, st.integers(1, 200), st.integers(1, 40))
def test_read_records_of_any_ranges_gives_the_sequential_records(
    data: bytes, range_bytes: int, block_bytes: int
) -> None:
    found, position = list[Record](), START
    for begin in range(0, len(data), range_bytes):
        end = min(begin + range_bytes, len(data))
        records, spans, position = read_all(
            data, max(position, Position(begin, synced=False)), end, block_bytes=block_bytes
        )
        assert not spans
        found += records
    assert [tuple(record) for record in found] == slow_reader.read(data).records


A, B, C = frame(b"first payload"), frame(b"second payload"), frame(b"third")


@pytest.mark.parametrize(
    ("data", "kept", "spans"),
    [
        pytest.param(A + B + C, 3, [], id="intact"),
        pytest.param(frame(b"") * 3, 3, [], id="empty payloads"),
        pytest.param(A + flipped(B, 2) + C, 2, [(29, 30, Reason.LENGTH_CRC)], id="length"),
        pytest.param(
            A + flipped(B, 9) + C, 2, [(29, 30, Reason.LENGTH_CRC)], id="length's checksum"
        ),
        pytest.param(A + flipped(B, 15) + C, 2, [(29, 30, Reason.PAYLOAD_CRC)], id="payload"),
        pytest.param(A + flipped(B, -1) + C, 2, [(29, 30, Reason.PAYLOAD_CRC)], id="its checksum"),
        pytest.param(A + flipped(B, 15), 1, [(29, 30, Reason.PAYLOAD_CRC)], id="last payload"),
        pytest.param(
            flipped(A, 15) + flipped(B, 15) + C,
            1,
            [(0, 29, Reason.PAYLOAD_CRC), (29, 30, Reason.PAYLOAD_CRC)],
            id="two payloads, each counted",
        ),
        pytest.param(A + B[:20], 1, [(29, 20, Reason.TRUNCATED)], id="ends in a payload"),
        pytest.param(A + B[:5], 1, [(29, 5, Reason.TRUNCATED)], id="ends in a header"),
        pytest.param(A + B[:-1], 1, [(29, 29, Reason.TRUNCATED)], id="ends in a checksum"),
        pytest.param(
            A + header(MAX_RECORD_BYTES + 1) + C,
            2,
            [(29, 12, Reason.RECORD_TOO_LONG)],
            id="too long",
        ),
        pytest.param(
            A + flipped(B, 15) + header(MAX_RECORD_BYTES + 1) + C,
            2,
            [(29, 42, Reason.PAYLOAD_CRC)],
            id="a payload, and behind it a length nobody believes",
        ),
        pytest.param(A + bytes(100) + C, 2, [(29, 100, Reason.LENGTH_CRC)], id="hole of zeros"),
        pytest.param(
            b"<html>" * 9 + C, 1, [(0, 54, Reason.LENGTH_CRC)], id="foreign bytes in front"
        ),
        pytest.param(
            A + B[:20] + C, 2, [(29, 20, Reason.PAYLOAD_CRC)], id="a record cut short inside"
        ),
        pytest.param(
            A + flipped(frame(b"xx" + C + b"yy"), 12) + B,
            2,
            [(29, 41, Reason.PAYLOAD_CRC)],
            id="a record inside a damaged one is no record",
        ),
    ],
)
def test_read_records_gives_the_reason_and_keeps_the_rest(
    data: bytes, kept: int, spans: list[tuple[int, int, str]]
) -> None:
    records, found, _ = read_all(data)
    assert [tuple(span) for span in found] == spans
    assert len(records) == kept


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(header(MAX_RECORD_BYTES // 4) * 2**18 + bytes(5 * 2**20), id="headers"),
        pytest.param(
            tfrecord(b"abc") + (header(2**22) + frame(b"abc")) * 2**15 + bytes(5 * 2**20),
            id="headers between records",
        ),
        pytest.param((frame(b"abc") + b"?") * 2**16, id="damage between records"),
    ],
)
def test_read_records_reads_no_byte_twice(data: bytes) -> None:
    num_read = 0

    def read(start: int, end: int) -> bytes:
        nonlocal num_read
        num_read += end - start
        return data[start:end]

    opened = Window(read, size=len(data), block_bytes=2**20)
    for _ in read_records(opened, START, len(data)):
        pass
    assert num_read == len(data)


@pytest.mark.parametrize("before", range(14))
def test_read_records_finds_a_header_across_the_border_of_what_it_scans(before: int) -> None:
    # The scan begins one byte after the damage.
    gap = 1 + SCAN_BYTES - before
    data = A + b"\xff" * gap + C
    records, spans, _ = read_all(data)
    assert [record.payload for record in records] == [b"first payload", b"third"]
    assert spans == [Span(len(A), gap, Reason.LENGTH_CRC)]


def test_read_records_without_a_predecessor_reports_no_gap() -> None:
    data = A + b"\xff" * 10 + B
    records, spans, stop = read_all(data, Position(5, synced=False))
    assert [record.offset for record in records] == [len(A) + 10]
    assert (spans, stop) == ([], Position(len(data), synced=True))


def test_read_records_of_a_range_without_a_header_is_still_looking() -> None:
    assert read_all(A + B, Position(3, synced=False), 20) == ([], [], Position(20, synced=False))


def test_read_records_owns_what_begins_in_the_range() -> None:
    records, _, stop = read_all(tfrecord(b"a", b"b" * 50, b"c"), START, 18)
    assert [record.payload for record in records] == [b"a", b"b" * 50]
    assert stop == Position(83, synced=True)


@given(
    st.binary(min_size=1, max_size=50),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8),
    st.integers(1, 9),
)
def test_bytes_at_equals_slicing(
    data: bytes, asked: list[tuple[int, int]], block_bytes: int
) -> None:
    held = window(data, block_bytes)
    for start, end in asked:
        assert held.bytes_at(start, end) == data[start:end]


def test_bytes_at_tells_that_the_source_has_shrunk() -> None:
    shrunk = Window(reader(b"short"), size=100)
    with pytest.raises(OSError, match="the source ends at byte 5 but had 100 when it was planned"):
        shrunk.bytes_at(0, 50)
