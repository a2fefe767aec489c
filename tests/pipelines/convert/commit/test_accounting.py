import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.commit.manifest import account
from pipelines.convert.formats.tfrecord import Position
from pipelines.errors import ShardError
from tests.pipelines.convert import slow_reader
from tests.pipelines.convert.conversion import Conversion
from tests.pipelines.convert.damage import damaged_files, intact_files
from tests.pipelines.convert.records import flipped, frame, tfrecord

MAX_RANGES = 30
"""Bounds the time of an example."""


def ranges_of(data: bytes, draw: int) -> int:
    """A range size from `draw` that cuts the data into no more than MAX_RANGES."""
    return max(1 + draw % (len(data) + 1), -(-len(data) // MAX_RANGES))


@given(st.one_of(damaged_files, intact_files), st.integers(0, 10**6))
def test_join_of_any_ranges_equals_the_sequential_reading(data: bytes, draw: int) -> None:
    conversion = Conversion(data, ranges_of(data, draw))
    found = account(conversion.join(), size=len(data))
    truth = slow_reader.read(data)
    assert [tuple(span) for span in found.spans] == truth.spans
    assert conversion.records() == [offset for offset, _ in truth.records]
    assert found.record_bytes == sum(16 + len(payload) for _, payload in truth.records)
    assert found.record_bytes + found.skipped_bytes == len(data)


@given(damaged_files, st.integers(0, 10**6))
def test_join_of_joined_ranges_reads_nothing_again(data: bytes, draw: int) -> None:
    conversion = Conversion(data, ranges_of(data, draw))
    conversion.join()
    conversion.num_again = 0
    conversion.join()
    assert conversion.num_again == 0


@pytest.mark.parametrize("range_bytes", [1, 20, 30, 45, 64, 100])
def test_join_is_not_misled_by_a_file_inside_a_payload(range_bytes: int) -> None:
    inner = tfrecord(b"inner one", b"inner two", b"inner three")
    data = tfrecord(b"before", inner, b"behind")
    conversion = Conversion(data, range_bytes)
    assert account(conversion.join(), size=len(data)).spans == ()
    assert conversion.records() == [0, 22, 22 + 16 + len(inner)]


def test_join_reads_again_only_what_was_read_wrongly() -> None:
    inner = tfrecord(b"inner one", b"inner two")
    data = tfrecord(b"before", inner, *[b"behind"] * 20)
    conversion = Conversion(data, 50)
    conversion.join()
    assert conversion.num_again == 1


@pytest.mark.parametrize("range_bytes", [7, 25, 40, 90, 1000])
def test_account_merges_damage_across_borders(range_bytes: int) -> None:
    data = frame(b"a" * 9) + b"\xff" * 120 + frame(b"b")
    found = account(Conversion(data, range_bytes).join(), size=len(data))
    assert [tuple(span) for span in found.spans] == [(25, 120, "length_crc")]


def test_account_keeps_neighbouring_damaged_payloads_apart() -> None:
    damaged = flipped(frame(b"x" * 10), 14)
    found = account(Conversion(damaged * 3, 26).join(), size=78)
    assert [span.length for span in found.spans] == [26, 26, 26]


def test_account_refuses_ranges_with_a_gap() -> None:
    # Nothing begins in the second range, so that only its absence tells of it.
    first, _, third = Conversion(tfrecord(b"x" * 44, b"y" * 14), 30).join()
    with pytest.raises(ShardError, match=r"begins at byte 60 .* expected byte 30"):
        account([first, third], size=90)


def test_account_refuses_ranges_read_from_elsewhere() -> None:
    first, second, third = Conversion(tfrecord(b"x" * 14, b"y" * 14), 20).join()
    moved = dataclasses.replace(second, entry=Position(31, synced=True))
    with pytest.raises(ShardError, match=r"follows .*31.* expected byte 20 and .*30"):
        account([first, moved, third], size=60)


def test_account_refuses_bytes_that_are_lost() -> None:
    (only,) = Conversion(tfrecord(b"x" * 14), 100).join()
    lost = dataclasses.replace(only, record_bytes=29)
    with pytest.raises(ShardError, match="29 bytes in records and 0 skipped do not make the 30"):
        account([lost], size=30)
