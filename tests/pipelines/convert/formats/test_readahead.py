import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.formats.byte_stream import ReadAhead, Window, fetch_ahead
from tests.pipelines.convert.records import reader

DATA = bytes(range(250)) * 4


def read_ahead_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


class Recorder:
    """Notes which thread fetched what."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.fetched = list[tuple[int, int, bool]]()

    def __call__(self, start: int, end: int) -> bytes:
        ahead = threading.current_thread().name.startswith("read-ahead")
        self.fetched.append((start, end, ahead))
        return self.data[start:end]


def test_read_ahead_fetches_the_next_block_in_its_thread() -> None:
    fetch = Recorder()
    with ReadAhead(fetch, stop=250, block_bytes=100) as read:
        assert read(0, 100) == DATA[:100]
        assert read(100, 200) == DATA[100:200]
        assert read(200, 300) == DATA[200:250]
    assert fetch.fetched == [(0, 100, False), (100, 200, True), (200, 250, True)]


def test_read_ahead_fetches_behind_the_stop_only_what_is_asked_for() -> None:
    fetch = Recorder()
    with ReadAhead(fetch, stop=100, block_bytes=100) as read:
        assert read(0, 100) == DATA[:100]
        assert read(100, 200) == DATA[100:200]
    assert fetch.fetched == [(0, 100, False), (100, 200, False)]


@given(
    st.integers(1, 1100),
    st.integers(1, 300),
    st.integers(1, 300),
    st.lists(st.integers(0, 999), min_size=1, max_size=20),
    st.integers(1, 300),
)
def test_window_over_read_ahead_gives_the_bytes_of_the_file(
    stop: int, block_bytes: int, window_bytes: int, places: list[int], length: int
) -> None:
    with ReadAhead(reader(DATA), stop=stop, block_bytes=block_bytes) as read:
        window = Window(read, size=len(DATA), block_bytes=window_bytes)
        for place in sorted(places):
            assert window.bytes_at(place, place + length) == DATA[place : place + length]


def test_read_ahead_stops_at_the_end_of_a_stream_of_unknown_length() -> None:
    with ReadAhead(reader(DATA), stop=2**62, block_bytes=600) as read:
        assert [read(at, at + 600) for at in (0, 600, 1000)] == [DATA[:600], DATA[600:], b""]


def broken_at(place: int) -> Callable[[int, int], bytes]:
    def fetch(start: int, end: int) -> bytes:
        if end > place:
            raise ConnectionResetError(f"reset at {start}")
        return DATA[start:end]

    return fetch


def test_read_ahead_raises_what_its_thread_ran_into_when_the_bytes_are_wanted() -> None:
    with ReadAhead(broken_at(100), stop=1000, block_bytes=100) as read:
        assert read(0, 100) == DATA[:100]
        with pytest.raises(ConnectionResetError, match="reset at 100"):
            read(100, 200)
        with pytest.raises(ConnectionResetError, match="reset at 100"):
            read(100, 200)
    assert not read_ahead_threads()


def test_read_ahead_leaves_no_thread_whatever_happens() -> None:
    def work(read: ReadAhead) -> None:
        read(0, 100)
        assert len(read_ahead_threads()) == 1
        raise RuntimeError("the work failed")

    with (
        pytest.raises(RuntimeError, match="the work failed"),
        ReadAhead(broken_at(100), stop=1000, block_bytes=100) as read,
    ):
        work(read)
    assert not read_ahead_threads()


def test_read_ahead_of_one_block_needs_no_thread() -> None:
    with ReadAhead(reader(DATA), stop=1000, block_bytes=2000) as read:
        assert read(0, 1000) == DATA
        assert not read_ahead_threads()


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 5))
def test_fetched_ahead_gives_all_in_order(keys: list[int], num_ahead: int) -> None:
    found = fetch_ahead(lambda key: DATA[key], keys, num_ahead=num_ahead)
    assert list(found) == [DATA[key] for key in keys]


def test_fetched_ahead_takes_no_more_keys_than_it_may() -> None:
    taken = list[int]()

    def keys() -> Iterator[int]:
        for key in range(100):
            taken.append(key)
            yield key

    found = fetch_ahead(lambda key: key, keys(), num_ahead=3)
    assert next(found) == 0
    assert taken == [0, 1, 2, 3]
    found.close()
    assert not read_ahead_threads()


def test_fetched_ahead_raises_what_a_fetch_ran_into_in_its_turn() -> None:
    def fetch(key: int) -> int:
        if key == 2:
            raise ConnectionResetError("reset")
        return key

    found = fetch_ahead(fetch, range(10), num_ahead=4)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ConnectionResetError, match="reset"):
        next(found)
    assert not read_ahead_threads()
