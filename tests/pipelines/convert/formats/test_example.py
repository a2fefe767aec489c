from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.formats.example import (
    MAX_NOTE_BYTES,
    check_peak,
    decode,
)
from pipelines.convert.formats.features import (
    NUMBERS,
    TEXTS,
)
from pipelines.convert.formats.reasons import Reason
from pipelines.errors import RecordError
from tests.pipelines.convert.records import (
    example,
    floats,
    note,
    numbers,
    sound,
    texts,
    tfds_note,
    unpacked_floats,
)

FEATURES = (*TEXTS, *NUMBERS, "qualities", "qualities_str", "audio")


def unpacked_numbers(*values: int) -> bytes:
    """A list of small integers, each with its own tag."""
    content = b"".join(bytes([1 << 3, value]) for value in values)
    return bytes([3 << 3 | 2, len(content)]) + content


def test_decode_gives_all_features_of_a_note() -> None:
    found = decode(note(3))
    assert {*found.scalars, "audio"} == set(FEATURES)
    assert len(FEATURES) == 14
    assert found.scalars["note_str"] == "guitar_acoustic_003-023-100"
    assert found.scalars["qualities"] == [1, *[0] * 9]
    assert found.scalars["qualities_str"] == ["bright"]
    np.testing.assert_array_equal(found.audio, sound(3))


def test_decode_refuses_a_payload_too_long_for_a_note() -> None:
    assert decode(note(3, comment=texts(bytes(700_000)))).scalars == decode(note(3)).scalars
    longer = note(3, comment=texts(bytes(MAX_NOTE_BYTES)))
    with pytest.raises(RecordError, match=f"the payload has {len(longer)} bytes, expected"):
        decode(longer)


HALF = 32_000
ENCODINGS: dict[str, bytes] = {
    "packed": floats(sound(1)),
    "in two chunks": floats(sound(1)[:100], sound(1)[100:]),
    "in many chunks": floats(*np.split(sound(1), 50)),
    "with an empty chunk": floats(sound(1)[:0], sound(1)),
    "unpacked": unpacked_floats(sound(1)),
    # Protocol buffers join a field that comes twice.
    "a list that comes twice": floats(sound(1)[:HALF]) + floats(sound(1)[HALF:]),
    "packed, then unpacked": floats(sound(1)[:HALF]) + unpacked_floats(sound(1)[HALF:]),
    "unpacked, then packed": unpacked_floats(sound(1)[:HALF]) + floats(sound(1)[HALF:]),
}


@pytest.mark.parametrize("audio", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_decode_reads_floats_in_every_legal_encoding(audio: bytes) -> None:
    np.testing.assert_array_equal(decode(note(1, audio=audio)).audio, sound(1))


@pytest.mark.parametrize("audio", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_decode_reads_floats_as_tensorflows_message_does(tf: Any, audio: bytes) -> None:
    payload = note(1, audio=audio)
    parsed = tf.train.Example.FromString(payload)
    expected = np.array(parsed.features.feature["audio"].float_list.value, np.float32)
    np.testing.assert_array_equal(decode(payload).audio, expected)


def test_decode_reads_integers_that_are_not_packed() -> None:
    assert decode(note(pitch=unpacked_numbers(60))).scalars["pitch"] == 60


def test_decode_reads_qualities_of_a_note_that_has_none() -> None:
    for empty in (texts(), b""):
        assert decode(note(qualities_str=empty)).scalars["qualities_str"] == []


def test_decode_keeps_the_last_of_a_feature_that_comes_twice() -> None:
    assert decode(note() + example(pitch=numbers(99))).scalars["pitch"] == 99


def test_decode_reads_a_record_of_tensorflow_datasets_as_the_note_that_it_was_made_of() -> None:
    found, expected = decode(tfds_note(3)), decode(note(3))
    assert found.scalars == expected.scalars | {"note": -1, "instrument": 7}
    np.testing.assert_array_equal(found.audio, expected.audio)
    without_f0 = dict.fromkeys(("f0/hz", "f0/midi", "f0/confidence", "loudness/db"))
    assert decode(tfds_note(3, without_f0)).scalars == found.scalars


def test_decode_names_the_qualities_of_a_record_of_tensorflow_datasets() -> None:
    given = {"bright": numbers(0), "dark": numbers(1), "tempo-synced": numbers(1)}
    changes = {f"qualities/{quality}": feature for quality, feature in given.items()}
    scalars = decode(tfds_note(3, changes)).scalars
    assert scalars["qualities"] == [0, 1, *[0] * 7, 1]
    assert scalars["qualities_str"] == ["dark", "tempo-synced"]


SPOILT: dict[str, tuple[bytes, str, str]] = {
    "no protocol buffer": (b"\xff\xff no message", Reason.UNPARSABLE, "no tf.train.Example"),
    "one unpacked float too many": (
        note(audio=floats(sound(1)) + unpacked_floats(sound(1)[:1])),
        Reason.WRONG_LENGTH,
        "has 64001 values",
    ),
    "cut short": (note()[:-5], Reason.UNPARSABLE, "no tf.train.Example"),
    "a chunk that is no multiple of four": (
        note(audio=bytes([2 << 3 | 2, 5, 1 << 3 | 2, 3, 0, 0, 0])),
        Reason.UNPARSABLE,
        "no tf.train.Example",
    ),
    "nothing": (b"", Reason.MISSING_FEATURE, "no feature 'note_str'"),
    "no velocity": (note(velocity=None), Reason.MISSING_FEATURE, "no feature 'velocity'"),
    "no audio": (note(audio=None), Reason.MISSING_FEATURE, "no feature 'audio'"),
    "no qualities_str": (
        note(qualities_str=None),
        Reason.MISSING_FEATURE,
        "no feature 'qualities_str'",
    ),
    "pitch as text": (
        note(pitch=texts(b"60")),
        Reason.WRONG_TYPE,
        "'pitch' is text '60', expected integer$",
    ),
    "pitch unset": (note(pitch=b""), Reason.WRONG_TYPE, "'pitch' is unset, expected integer$"),
    "pitch as float": (
        note(pitch=floats(np.array([60.5], np.float32))),
        Reason.WRONG_TYPE,
        "feature 'pitch' is float 60.5, expected integer$",
    ),
    "audio as integers": (
        note(audio=numbers(1, 2)),
        Reason.WRONG_TYPE,
        "'audio' is integer, .* float$",
    ),
    "audio as a wav file": (
        note(audio=texts(b"RIFF")),
        Reason.WRONG_TYPE,
        "is text 'RIFF', expected flo",
    ),
    "name as number": (
        note(note_str=numbers(1)),
        Reason.WRONG_TYPE,
        "'note_str' is integer 1, .* text$",
    ),
    "two features less": (
        note(qualities_str=None, instrument_source_str=None),
        Reason.MISSING_FEATURE,
        "there is no feature 'instrument_source_str', 'qualities_str'; found '",
    ),
    "features of DDSP": (
        example(audio=floats(sound(0)[:16_000]), f0_hz=floats(sound(0)[:250])),
        Reason.MISSING_FEATURE,
        "no feature 'note_str', .*; found 'audio', 'f0_hz'$",
    ),
    "a name that would move the cursor": (
        example(**{"\x1b[2J": numbers(1)}),
        Reason.MISSING_FEATURE,
        r"; found '\\x1b\[2J'$",
    ),
    "a family that TensorFlow Datasets does not know": (
        tfds_note(0, {"instrument/family": numbers(11)}),
        Reason.OUT_OF_RANGE,
        "feature 'instrument/family' is 11, expected 0 to 10$",
    ),
    "a source that is not known": (
        tfds_note(0, {"instrument/source": numbers(-1)}),
        Reason.OUT_OF_RANGE,
        "feature 'instrument/source' is -1, expected 0 to 2$",
    ),
    "a feature of TensorFlow Datasets less": (
        tfds_note(0, {"instrument/family": None}),
        Reason.MISSING_FEATURE,
        "there is no feature 'instrument/family'; found 'audio', 'f0/confidence', ",
    ),
    "a quality as text": (
        tfds_note(0, {"qualities/dark": texts(b"yes")}),
        Reason.WRONG_TYPE,
        "feature 'qualities/dark' is text 'yes', expected integer$",
    ),
    "one sample short": (
        note(audio=floats(sound(0)[:-1])),
        Reason.WRONG_LENGTH,
        "63999 values.*64000",
    ),
    "unpacked, one short": (
        note(audio=unpacked_floats(sound(0)[1:])),
        Reason.WRONG_LENGTH,
        "63999",
    ),
    "no sample": (
        note(audio=floats()),
        Reason.WRONG_LENGTH,
        "'audio' has 0 values, expected 64000",
    ),
    "one sample more": (
        note(audio=floats(np.zeros(64_001, np.float32))),
        Reason.WRONG_LENGTH,
        "64001",
    ),
    "two pitches": (
        note(pitch=numbers(60, 61)),
        Reason.WRONG_LENGTH,
        "'pitch' has 2 values, expected 1",
    ),
    "nine qualities": (
        note(qualities=numbers(*[0] * 9)),
        Reason.WRONG_LENGTH,
        "9 values, expected 10",
    ),
    "name in latin-1": (
        note(note_str=texts(b"fl\xfbte")),
        Reason.NOT_TEXT,
        "'note_str' is not UTF-8",
    ),
    "quality in latin-1": (note(qualities_str=texts(b"\xe9")), Reason.NOT_TEXT, "'qualities_str'"),
}


@pytest.mark.parametrize(("payload", "reason", "detail"), SPOILT.values(), ids=SPOILT.keys())
def test_decode_refuses_with_a_reason(payload: bytes, reason: str, detail: str) -> None:
    with pytest.raises(RecordError, match=detail) as caught:
        decode(payload)
    assert caught.value.reason == reason


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4))
def test_decode_of_a_damaged_payload_raises_nothing_but_its_error(
    damages: list[tuple[int, int]],
) -> None:
    payload = bytearray(note(audio=floats(sound(0)[:8])))
    for place, bits in damages:
        payload[place % len(payload)] ^= bits
    with pytest.raises(RecordError):
        decode(bytes(payload))


@pytest.mark.parametrize(
    ("peak", "reason"),
    [
        (np.nan, Reason.NOT_FINITE),
        (np.inf, Reason.NOT_FINITE),
        (1000.5, Reason.OUT_OF_RANGE),
        (1e30, Reason.OUT_OF_RANGE),
    ],
)
def test_check_peak_refuses_what_is_no_audio(peak: float, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        check_peak(peak)
    assert caught.value.reason == reason


def test_check_peak_keeps_audio_that_clips() -> None:
    check_peak(1.25)
    check_peak(1000)
