"""Hypothesis strategies: TFRecord files of tiny payloads, intact and damaged in every way known."""

from collections.abc import Callable

from hypothesis import strategies as st

from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES
from tests.pipelines.convert.records import flipped, frame, header, tfrecord

tiny_payloads = st.one_of(
    st.binary(max_size=24),
    # A whole TFRecord inside a payload: a reader that starts there is misled.
    st.lists(st.binary(max_size=8), min_size=1, max_size=2).map(lambda ps: tfrecord(*ps)),
    st.tuples(st.binary(max_size=5), st.binary(max_size=8), st.binary(max_size=5)).map(
        lambda parts: parts[0] + frame(parts[1]) + parts[2]
    ),
)

intact_files = st.lists(tiny_payloads, min_size=1, max_size=6).map(lambda ps: tfrecord(*ps))

_places = st.integers(0, 10**6)
_foreign = st.one_of(
    st.binary(min_size=1, max_size=20),
    st.integers(1, 20).map(bytes),
    st.binary(max_size=8).map(frame),
    # Headers without their records: a length that misleads, and ones that nobody believes.
    st.sampled_from([0, 1, 5, 40, 1000, MAX_RECORD_BYTES, MAX_RECORD_BYTES + 1, 2**40]).map(header),
)


def _flip(place: int) -> Callable[[bytes], bytes]:
    return lambda data: flipped(data, place % len(data)) if data else data


def _cut(place: int) -> Callable[[bytes], bytes]:
    return lambda data: data[: place % (len(data) + 1)]


def _put(place: int, foreign: bytes, *, over: bool) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        at = place % (len(data) + 1)
        return data[:at] + foreign + data[at + len(foreign) * over :]

    return damage


def _drop(place: int, num: int) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        at = place % (len(data) + 1)
        return data[:at] + data[at + num :]

    return damage


_damages = st.one_of(
    _places.map(_flip),
    _places.map(_cut),
    st.builds(_put, _places, _foreign, over=st.booleans()),
    st.builds(_drop, _places, st.integers(1, 30)),
)


def _damaged(data: bytes, damages: list[Callable[[bytes], bytes]]) -> bytes:
    for damage in damages:
        data = damage(data)
    return data


damaged_files = st.builds(
    _damaged, intact_files, st.lists(_damages, min_size=1, max_size=4)
).filter(bool)
