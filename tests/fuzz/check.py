"""What must hold of every file, however it is damaged."""

import hashlib
import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import numpy as np
import xxhash

from pipelines.convert.commit.manifest import Account, account
from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.example import decode
from pipelines.convert.formats.tfrecord import Position, Record, Span, read_records
from pipelines.convert.reading.tfrecord_range import resample
from pipelines.errors import RecordError
from pipelines.notes import NUM_SAMPLES
from tests.fuzz.cases import Case
from tests.fuzz.files import NUM_NOTES, one_note
from tests.pipelines.convert import slow_reader
from tests.pipelines.convert.conversion import Conversion
from tests.pipelines.convert.records import ATOL, sound, tfrecord

CPU_SEC: Final = 60
"""Of this process, not of the clock: a hundred times what the slowest case takes."""

_MEMORY_BYTES: Final = 2**20
_MEMORY_FACTOR: Final = 64


def check(case: Case) -> tuple[list[Record], list[Span]]:
    """Reads a damaged file from its first byte, as a stream and by ranges: one truth for all.

    Returns:
      What was found, for statistics.

    Raises:
      AssertionError: something does not hold.
      TimeoutError: it does not end.
    """
    _load()
    with _bounded(case):
        records, spans = _sequential(case)
        assert _as_stream(case) == records
    _check_sequential(case, records, spans)
    if len(case.damaged):
        with _bounded(case):
            _check_ranges(case, records, spans)
    return records, spans


@cache
def _load() -> None:
    """Makes and converts all notes, so that no case has to answer for what stays in memory."""
    Conversion(tfrecord(*map(one_note, range(NUM_NOTES))), 2**20)


@contextmanager
def _bounded(case: Case) -> Iterator[None]:
    """Ends what takes too much processor time, and refuses what took too much memory."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"not done after {CPU_SEC} s of processor time")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, CPU_SEC)
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
        assert peak < _MEMORY_BYTES + _MEMORY_FACTOR * len(case.damaged), f"{peak} bytes of memory"
    finally:
        tracemalloc.stop()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _sequential(case: Case) -> tuple[list[Record], list[Span]]:
    data, num_read = case.damaged.data, 0

    def read(start: int, end: int) -> bytes:
        nonlocal num_read
        num_read += end - start
        return data[start:end]

    window = Window(read, size=len(data), block_bytes=case.block_bytes)
    start = Position(0, synced=True)
    items = list(read_records(window, start, len(data), scan_bytes=case.scan_bytes))
    assert num_read <= len(data), f"{num_read} bytes were read of {len(data)}"
    records = [item for item in items if isinstance(item, Record)]
    return records, [item for item in items if isinstance(item, Span)]


def _as_stream(case: Case) -> list[Record]:
    """The records as read in pieces from a source that cannot go back and has no known size."""
    data, position = case.damaged.data, 0

    def read(start: int, end: int) -> bytes:
        nonlocal position
        assert start == position, f"asked for byte {start} of a stream at byte {position}"
        part = data[start:end]
        position += len(part)
        return part

    def items() -> Iterator[Record | Span]:
        reader, end = Position(0, synced=True), 0
        while window.reaches(end + 1, keep=reader.offset):
            end += case.range_bytes
            reader = yield from read_records(window, reader, end, scan_bytes=case.scan_bytes)

    window = Window(read, size=None, block_bytes=case.block_bytes)
    return [item for item in items() if isinstance(item, Record)]


def _check_sequential(case: Case, records: list[Record], spans: list[Span]) -> None:
    data = case.damaged.data
    truth = slow_reader.read(data)
    assert [tuple(record) for record in records] == truth.records
    assert [tuple(span) for span in spans] == truth.spans
    wrong = [record for record in records if not case.is_original(record.payload)]
    assert not wrong, f"no such record was written: {wrong}"
    borders = sorted([(r.offset, r.end) for r in records] + [(s.offset, s.end) for s in spans])
    assert [0, *(end for _, end in borders)] == [*(begin for begin, _ in borders), len(data)]
    lost = [
        (place, payload)
        for place, payload in case.untouched()
        if Record(place, payload) not in records and not _is_inside(data, place, records, spans)
    ]
    assert not lost, f"these records are untouched but were not found: {lost}"


def _is_inside(data: bytes, place: int, records: list[Record], spans: list[Span]) -> bool:
    """Whether a record here is part of another one, sound or set aside whole.

    The rule: after a header that holds, a damaged payload is one span if the file goes on behind it
    with a header that holds, or ends there.
    """
    whole = [
        span
        for span in spans
        if span.reason == "payload_crc"
        and (span.end == len(data) or slow_reader.believable(data, span.end))
        and slow_reader.wrong(data, span.offset) == ("payload_crc", span.end)
    ]
    return any(r.offset < place < r.end for r in records) or any(
        span.offset < place < span.end for span in whole
    )


def _check_ranges(case: Case, records: list[Record], spans: list[Span]) -> None:
    data = case.damaged.data
    conversion = Conversion(data, case.range_bytes, block_bytes=case.block_bytes)
    found = account(conversion.join(), size=len(data))
    assert found == Account(len(data), sum(r.end - r.offset for r in records), tuple(spans))
    assert found.record_bytes + found.skipped_bytes == len(data)
    rows = _rows(conversion)
    assert [row[:2] for row in rows] == [(r.offset, _outcome(r.payload)) for r in records]
    for (_, (note_str, _), samples), record in zip(rows, records, strict=True):
        for number in range(NUM_NOTES):
            if record.payload == one_note(number):
                assert f"-{20 + number:03d}-100" in note_str
                expected = resample(sound(number)[np.newaxis], num_samples=NUM_SAMPLES)[0]
                np.testing.assert_allclose(samples, expected, rtol=0, atol=ATOL)


def _rows(conversion: Conversion) -> list[tuple[int, tuple[str, str], Any]]:
    """Offset, outcome and samples of all records in order, notes or set aside."""
    rows: list[tuple[int, tuple[str, str], Any]] = []
    for converted in conversion.converted.values():
        rows += [
            (note["source_offset"], (note["note_str"], note["audio_digest"]), note["audio"])
            for note in converted.table.to_pylist()
        ]
        rows += [
            (row["offset"], (row["reason"], row["sha256"]), None)
            for row in converted.quarantine.to_pylist()
        ]
    return sorted(rows, key=lambda row: row[0])


def _outcome(payload: bytes) -> tuple[str, str]:
    """A note's name and audio, or why it is none and which it was."""
    try:
        example = decode(payload)
    except RecordError as err:
        return err.reason, hashlib.sha256(payload).hexdigest()
    return example.scalars["note_str"], xxhash.xxh3_128_hexdigest(example.audio.tobytes())
