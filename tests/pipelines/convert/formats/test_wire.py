from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.formats.example import EXAMPLE, FEATURES
from pipelines.convert.formats.wire import Found, find_audio
from tests.pipelines.convert.records import (
    example,
    floats,
    note,
    numbers,
    sound,
    texts,
    unpacked_floats,
)

HALVES = floats(sound(1)[:32_000], sound(1)[32_000:])
LARGE = bytes(300_000)

ELSEWHERE = {
    "nothing": b"",
    "half a tag": b"\n",
    "no message": b"\xff\xff no message",
    "no audio": note(audio=None),
    "two chunks": note(audio=HALVES),
    "unpacked": note(audio=unpacked_floats(sound(1))),
    "one sample short": note(audio=floats(sound(1)[1:])),
    "one sample more": note(audio=floats(np.zeros(64_001, np.float32))),
    "text as long as audio": note(audio=texts(LARGE)),
    "audio under another name": example(sound=floats(sound(1))),
    "another large feature": note(1, comment=texts(LARGE)),
    "audio twice": note(1) + note(1),
    "a byte behind": note(1) + b"\0",
    "a byte short": note(1)[:-1],
    "a field that Example does not have": note(1) + b"\x12\x01a",
}


def library_reads(payload: bytes) -> Any:
    message: Any = EXAMPLE.FromString(payload)
    return message.features.feature


def remaining_range(found: Found) -> Any:
    features: Any = FEATURES.FromString(found.rest)
    return features.feature


def is_what_the_library_reads(found: Found, payload: bytes) -> bool:
    """Whether a message is the features that are left, and the audio that was found."""
    whole, rest = library_reads(payload), remaining_range(found)
    audio = whole["audio"].float_list.value if "audio" not in rest else None
    if audio is not None:
        np.testing.assert_array_equal(found.audio, np.array(audio, np.float32))
    return {*rest} | {"audio"} == {*whole} and all(rest[name] == whole[name] for name in rest)


def test_find_audio_finds_it_as_a_view_of_the_payload() -> None:
    payload = note(3)
    found = find_audio(payload)
    assert found is not None
    assert not found.audio.flags.owndata
    assert len(found.rest) < 1000
    assert is_what_the_library_reads(found, payload)


@pytest.mark.parametrize("payload", ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_find_audio_leaves_what_is_written_otherwise_to_the_library(payload: bytes) -> None:
    assert find_audio(payload) is None


def test_find_audio_leaves_a_second_audio_in_the_rest() -> None:
    payload = example(audio=floats(sound(1)), pitch=numbers(60))
    twice = example(audio=floats(sound(1))) + example(audio=numbers(1))
    found = find_audio(payload)
    assert found is not None
    assert "audio" not in remaining_range(found)
    assert find_audio(twice) is None


@given(
    st.permutations(["audio", "pitch", "note_str", "qualities"]),
    st.lists(st.tuples(st.integers(-120, 120), st.integers(1, 255)), max_size=3),
)
def test_find_audio_of_a_damaged_message_finds_what_the_library_reads_or_nothing(
    names: list[str], damages: list[tuple[int, int]]
) -> None:
    features = {
        "audio": floats(sound(2)),
        "pitch": numbers(60),
        "note_str": texts(b"name"),
        "qualities": numbers(*range(10)),
    }
    payload = bytearray(example(**{name: features[name] for name in names}))
    for place, bits in damages:
        payload[place] ^= bits
    found = find_audio(bytes(payload))
    if found is None:
        return
    try:
        remaining_range(found)
    except DecodeError:
        with pytest.raises(DecodeError):
            library_reads(bytes(payload))
        return
    assert is_what_the_library_reads(found, bytes(payload))
