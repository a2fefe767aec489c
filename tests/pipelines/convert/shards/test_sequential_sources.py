import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import storage
from pipelines.convert.commit.manifest import Account, account
from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.tfrecord import START, Record, Span, read_records
from pipelines.convert.reading.sources import GZIP, Source
from pipelines.convert.shards.plan import ByteRange, shard_uri
from pipelines.convert.shards.sequential_sources import (
    convert_pieces,
    read_summaries,
    remaining_range,
)
from pipelines.convert.shards.shard import Converted, ShardSummary, encode_shard, put_objects
from pipelines.errors import ShardError
from tests.pipelines.convert.damage import damaged_files, intact_files
from tests.pipelines.convert.records import flipped, frame, reader, tfrecord

URI = "memory://streams/tiny.gz"


@pytest.fixture(scope="module", autouse=True)
def emptied() -> Iterator[None]:
    yield
    fsspec.filesystem("memory").rm("/streams", recursive=True)


def stored(data: bytes, range_bytes: int) -> ByteRange:
    """The range of a compressed file in memory."""
    storage.put(URI, data)
    return ByteRange(0, Source("tiny", URI, len(data), "", GZIP), 0, range_bytes)


def pieces(data: bytes, range_bytes: int) -> list[Converted]:
    return list(convert_pieces(stored(data, range_bytes)))


def offsets(converted: list[Converted]) -> list[int]:
    """Of the sound records: no payload here is an example, so all are set aside."""
    return [row["offset"] for c in converted for row in c.quarantine.to_pylist()]


def accounted(converted: list[Converted]) -> Account:
    summaries = [c.summary for c in converted]
    assert [summary.is_last for summary in summaries] == [False] * (len(summaries) - 1) + [True]
    return account(summaries, size=summaries[-1].end)


def sequential(data: bytes) -> tuple[list[int], list[Span]]:
    """Offsets of the records and spans of a file that is not compressed."""
    items = list(read_records(Window(reader(data), size=len(data)), START, len(data)))
    return (
        [item.offset for item in items if isinstance(item, Record)],
        [item for item in items if isinstance(item, Span)],
    )


@given(st.one_of(intact_files, damaged_files), st.integers(1, 300), st.integers(0, 9))
def test_pieces_of_a_stream_are_those_of_the_file_in_it(
    data: bytes, range_bytes: int, level: int
) -> None:
    converted = pieces(gzip.compress(data, level, mtime=0), range_bytes)
    found = accounted(converted)
    assert (offsets(converted), list(found.spans)) == sequential(data)
    assert found.size == len(data)
    begins = [c.summary.begin for c in converted]
    assert begins == list(range(0, max(len(data), 1), range_bytes))


@given(intact_files, st.integers(1, 300), st.data())
def test_pieces_of_a_damaged_stream_conserve_its_bytes(
    data: bytes, range_bytes: int, draw: st.DataObject
) -> None:
    compressed = gzip.compress(data, mtime=0)
    place = draw.draw(st.integers(0, len(compressed) - 1))
    damaged = draw.draw(st.sampled_from([flipped(compressed, place), compressed[: place + 1]]))
    converted = pieces(damaged, range_bytes)
    found = accounted(converted)
    assert found.record_bytes + found.skipped_bytes == found.size
    last = converted[-1].summary
    assert sum(span.reason.startswith("gzip") for span in found.spans) == (last.fault is not None)
    if last.fault is None:
        # Some bits of a gzip mean nothing: the time, the filling of the last byte.
        assert damaged == compressed or offsets(converted) == sequential(data)[0]
    one_range = pieces(damaged, 10**6)
    assert accounted(one_range).spans == found.spans
    assert offsets(one_range) == offsets(converted)


RECORDS = tfrecord(*[bytes([i]) * 50 for i in range(10)])
"""Ten records of 66 bytes."""


def summaries(data: bytes, folder: str, range_bytes: int = 100) -> list[ShardSummary]:
    return store_all(stored(data, range_bytes), folder)


def store_all(first: ByteRange, folder: str) -> list[ShardSummary]:
    made = list(convert_pieces(first))
    for converted in made:
        put_objects(encode_shard(converted, folder=folder))
    return [converted.summary for converted in made]


def test_stored_pieces_are_a_shard_for_each_range(tmp_path: Path) -> None:
    folder = str(tmp_path)
    made = summaries(gzip.compress(RECORDS, mtime=0), folder)
    assert [(s.begin, s.end) for s in made] == [
        *((begin, begin + 100) for begin in range(0, 600, 100)),
        (600, 660),
    ]
    first = stored(gzip.compress(RECORDS, mtime=0), 100)
    assert read_summaries(first, folder=folder) == made
    assert remaining_range(first, folder=folder) is None


@pytest.mark.parametrize("num_left", range(7))
def test_rest_of_goes_on_behind_the_stored_shards(tmp_path: Path, num_left: int) -> None:
    folder = str(tmp_path)
    first = stored(gzip.compress(RECORDS, mtime=0), 100)
    made = store_all(first, folder)
    # A crash may leave shards behind a gap, where it met others' work.
    storage.remove(shard_uri(folder, made[num_left].name))
    rest = remaining_range(first, folder=folder)
    assert rest is not None
    assert (rest.begin, rest.end) == (num_left * 100, num_left * 100 + 100)
    assert store_all(rest, folder) == made[num_left:]
    assert remaining_range(first, folder=folder) is None


def test_read_summaries_needs_the_last_shard(tmp_path: Path) -> None:
    folder = str(tmp_path)
    made = summaries(gzip.compress(RECORDS, mtime=0), folder)
    storage.remove(shard_uri(folder, made[-1].name))
    message = f"{made[-1].name} is missing, and no shard before it is its source's last"
    with pytest.raises(ShardError, match=message):
        read_summaries(stored(gzip.compress(RECORDS, mtime=0), 100), folder=folder)


@pytest.mark.parametrize(
    ("end", "spans"),
    [
        (660, [(660, 0, "gzip_truncated")]),
        (650, [(594, 56, "gzip_truncated")]),
        (600, [(594, 6, "gzip_truncated")]),
    ],
)
@pytest.mark.parametrize("range_bytes", [7, 66, 100, 1000])
def test_account_of_a_truncated_stream_names_what_was_cut(
    end: int, spans: list[tuple[int, int, str]], range_bytes: int
) -> None:
    # Stored blocks are cut where the content is.
    whole = gzip.compress(RECORDS, 0, mtime=0)
    data = whole[: whole.index(RECORDS[:16]) + end]
    assert [tuple(span) for span in accounted(pieces(data, range_bytes)).spans] == spans


def test_account_of_a_corrupt_stream_counts_the_rest_as_it_is() -> None:
    data = gzip.compress(RECORDS, mtime=0) + gzip.compress(RECORDS, mtime=0)[:10] + b"\xff" * 500
    converted = pieces(data, 100)
    found = accounted(converted)
    (span,) = found.spans
    assert (span.offset, span.reason) == (660, "gzip_corrupt")
    assert 490 <= span.length <= 500
    assert found.record_bytes == 660


def test_pieces_of_an_empty_stream_are_one_without_records() -> None:
    (converted,) = pieces(gzip.compress(b"", mtime=0), 100)
    assert converted.summary.is_last
    assert (converted.summary.begin, converted.summary.end) == (0, 0)
    assert accounted([converted]).size == 0


def test_pieces_may_be_longer_than_a_record_or_shorter() -> None:
    data = gzip.compress(frame(b"x" * 500) + frame(b"y"), mtime=0)
    for range_bytes in (1, 50, 516, 517, 10_000):
        assert offsets(pieces(data, range_bytes)) == [0, 516]


def test_rest_of_another_plan_is_all_of_it(tmp_path: Path) -> None:
    first = stored(gzip.compress(RECORDS, mtime=0), 100)
    assert remaining_range(first, folder=str(tmp_path)) == first
    assert remaining_range(replace(first, end=50), folder=str(tmp_path)) == replace(first, end=50)
