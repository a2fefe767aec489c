import gzip
import io
import zlib
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.formats.byte_stream import Fault, GzipStream
from pipelines.convert.formats.reasons import Reason
from tests.pipelines.convert.records import flipped, reader

CONTENT = np.random.default_rng(0).normal(0, 4, 300_000).astype(np.int8).tobytes()


def everything(data: bytes, *, piece: int = 10**9) -> tuple[bytes, Fault | None]:
    stream = GzipStream(reader(data), size=len(data))
    parts, at = list[bytes](), 0
    while part := stream.read(at, at + piece):
        parts.append(part)
        at += len(part)
    return b"".join(parts), stream.fault


@given(
    st.lists(st.binary(max_size=200), min_size=1, max_size=4),
    st.integers(0, 9),
    st.integers(1, 150),
    st.integers(0, 20),
)
def test_read_gives_the_members_content(
    members: list[bytes], level: int, piece: int, padding: int
) -> None:
    data = b"".join(gzip.compress(member, level, mtime=0) for member in members) + bytes(padding)
    assert everything(data, piece=piece) == (b"".join(members), None)


def test_read_gives_what_gzip_gives() -> None:
    for level in (1, 9):
        data = gzip.compress(CONTENT, level, mtime=0)
        assert everything(data, piece=70_000) == (gzip.decompress(data), None)


def test_read_passes_over_what_is_not_asked_for() -> None:
    data = gzip.compress(CONTENT, mtime=0)
    stream = GzipStream(reader(data), size=len(data))
    assert stream.read(10, 20) == CONTENT[10:20]
    assert stream.read(150_000, 150_010) == CONTENT[150_000:150_010]
    assert stream.read(299_990, 300_100) == CONTENT[-10:]
    assert stream.read(300_000, 300_001) == b""
    with pytest.raises(ValueError, match="a stream at byte 300000 cannot go back to 5"):
        stream.read(5, 6)


def test_read_fetches_no_more_than_it_needs() -> None:
    data = gzip.compress(np.random.default_rng(0).bytes(5 * 2**20), 0, mtime=0)
    fetched = list[tuple[int, int]]()

    def fetch(start: int, end: int) -> bytes:
        fetched.append((start, end))
        return data[start:end]

    stream = GzipStream(fetch, size=len(data))
    stream.read(0, 100)
    assert fetched == [(0, 2**20)]


def decodable(data: bytes) -> bytes:
    """What decodes before the first byte that does not, a byte at a time."""
    decoder, parts = zlib.decompressobj(31), list[bytes]()
    with suppress(zlib.error):
        for at in range(len(data)):
            parts.append(decoder.decompress(data[at : at + 1]))
    return b"".join(parts)


@pytest.mark.parametrize("place", [3, 20, 1000, 40_000, 100_000, -8, -5, -1])
@pytest.mark.parametrize("piece", [1000, 10**9])
def test_read_of_a_damaged_stream_gives_all_that_decodes_and_then_the_rest_as_it_is(
    place: int, piece: int
) -> None:
    data = flipped(gzip.compress(CONTENT, mtime=0), place)
    content, fault = everything(data, piece=piece)
    assert fault == Fault(len(decodable(data)), Reason.GZIP_CORRUPT)
    assert content.startswith(decodable(data))
    rest = content[fault.offset :]
    assert rest
    assert data.endswith(rest)


@pytest.mark.parametrize("num_missing", [1, 8, 12, 1000, 100_000])
def test_read_of_a_truncated_stream_gives_all_that_decodes(num_missing: int) -> None:
    data = gzip.compress(CONTENT, mtime=0)[:-num_missing]
    content, fault = everything(data)
    assert fault == Fault(len(content), Reason.GZIP_TRUNCATED)
    assert content == decodable(data) == CONTENT[: len(content)]
    assert (len(content) == len(CONTENT)) is (num_missing <= 8)


def test_read_finds_foreign_bytes_behind_the_stream() -> None:
    content, fault = everything(gzip.compress(CONTENT, mtime=0) + b"<html>")
    assert fault == Fault(len(CONTENT), Reason.GZIP_CORRUPT)
    assert content.startswith(CONTENT)
    # The first of them looked like the beginning of another member's header.
    assert content[fault.offset :] == b"html>"


@given(st.data())
def test_read_survives_any_damage(data: st.DataObject) -> None:
    whole = gzip.compress(CONTENT[:3000], mtime=0)
    change: Callable[[bytes], bytes] = data.draw(
        st.one_of(
            st.integers(0, len(whole) - 1).map(lambda at: lambda d: flipped(d, at)),
            st.integers(1, len(whole)).map(lambda at: lambda d: d[:at]),
            st.binary(min_size=1, max_size=9).map(lambda more: lambda d: d + more),
        )
    )
    pieces = {everything(change(whole), piece=piece) for piece in (7, 100, 10**6)}
    assert len(pieces) == 1


def test_read_holds_little_of_a_stream_that_unfolds_a_thousandfold() -> None:
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as file:
        for _ in range(64):
            file.write(bytes(2**20))
    data = target.getvalue()
    stream = GzipStream(reader(data), size=len(data))
    assert stream.read(0, 2**20) == bytes(2**20)
    assert stream.read(63 * 2**20, 10**9) == bytes(2**20)


def test_read_says_that_a_file_became_shorter() -> None:
    data = gzip.compress(CONTENT, mtime=0)
    stream = GzipStream(reader(data[:1000]), size=len(data))
    with pytest.raises(OSError, match="the source ends at byte 1000 but had"):
        stream.read(0, 10**6)


def test_read_passes_over_many_empty_members() -> None:
    data = gzip.compress(b"", mtime=0) * 50_000 + gzip.compress(b"end", mtime=0)
    assert everything(data) == (b"end", None)
