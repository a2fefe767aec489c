import io
import struct
import tracemalloc
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.formats.reasons import Reason
from pipelines.convert.formats.wav import parse_wav
from pipelines.errors import RecordError
from tests.pipelines.convert.records import flipped

SAMPLES = np.random.default_rng(0).integers(-(2**15), 2**15, 1000).astype(np.int16)


def wav(samples: Any = SAMPLES, *, rate: int = 16_000, **options: str) -> bytes:
    """A wav file as libsndfile writes it."""
    target = io.BytesIO()
    soundfile.write(target, samples, rate, **({"format": "WAV", "subtype": "PCM_16"} | options))
    return target.getvalue()


@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_parse_wav_gives_the_samples_that_libsndfile_wrote(form: str, rate: int) -> None:
    found = parse_wav(wav(rate=rate, format=form))
    assert found.sample_rate_hz == rate
    assert found.audio.dtype == np.float32
    np.testing.assert_array_equal(found.audio * 2**15, SAMPLES)


def test_parse_wav_passes_over_chunks_it_does_not_know() -> None:
    data = wav()
    odd = b"LIST" + struct.pack("<I", 3) + b"abc" + b"\0"
    for at in (12, 36, len(data)):
        found = parse_wav(data[:at] + odd + data[at:])
        np.testing.assert_array_equal(found.audio * 2**15, SAMPLES)


STEREO = np.stack([SAMPLES, SAMPLES], axis=1)
REFUSED = {
    "empty": (b"", Reason.NOT_WAV, "does not begin as"),
    "text": (b"<html>" * 100, Reason.NOT_WAV, "does not begin as"),
    "avi": (b"RIFF....AVI " + wav()[12:], Reason.NOT_WAV, "does not begin as"),
    "no format": (wav()[:12] + wav()[36:], Reason.NOT_WAV, "has no chunk 'fmt '"),
    "no samples": (wav()[:36], Reason.NOT_WAV, "has no chunk 'data'"),
    "short format": (
        wav()[:16] + struct.pack("<I", 8) + wav()[20:28] + wav()[36:],
        Reason.NOT_WAV,
        "chunk 'fmt ' is cut short",
    ),
    "cut within the extensible format": (
        wav(format="WAVEX")[:40],
        Reason.NOT_WAV,
        "has no chunk 'data'",
    ),
    "extensible format of 26 bytes that is the end": (
        wav()[:12] + b"data" + bytes(4) + b"fmt " + struct.pack("<IHHIIHH", 26, 65534, *[1] * 5),
        Reason.NOT_WAV,
        "chunk 'fmt ' is cut short",
    ),
    "extensible format of 16 bytes": (
        wav()[:20] + struct.pack("<H", 0xFFFE) + wav()[22:],
        Reason.NOT_WAV,
        "chunk 'fmt ' is cut short",
    ),
    "format of 4 GiB": (
        wav()[:12] + b"data" + bytes(4) + b"fmt " + struct.pack("<I", 2**32 - 1) + b"\1",
        Reason.NOT_WAV,
        "chunk 'fmt ' is cut short",
    ),
    "only chunks": (
        wav()[:12] + b"JUNK" + bytes(4) + wav()[:12] * 9,
        Reason.NOT_WAV,
        "no chunk 'fmt '",
    ),
    "cut short": (
        wav()[:-2],
        Reason.NOT_WAV,
        "samples should end at byte 2044, the file does at 2042",
    ),
    "stereo": (
        wav(STEREO),
        Reason.WAV_FORMAT,
        "expected 16-bit mono PCM, got format 1 of 16 bits, 2 ch",
    ),
    "24 bits": (wav(subtype="PCM_24"), Reason.WAV_FORMAT, "got format 1 of 24 bits, 1 channels"),
    "floats": (wav(subtype="FLOAT"), Reason.WAV_FORMAT, "got format 3 of 32 bits"),
    "extensible floats": (
        wav(subtype="FLOAT", format="WAVEX"),
        Reason.WAV_FORMAT,
        "got format 3 of 32",
    ),
}


@pytest.mark.parametrize(("data", "reason", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_parse_wav_refuses_what_is_not_16_bit_mono_pcm(
    data: bytes, reason: str, message: str
) -> None:
    with pytest.raises(RecordError, match=message) as raised:
        parse_wav(data)
    assert raised.value.reason == reason


@given(st.integers(0, 60), st.integers(0, 100))
def test_parse_wav_of_damage_refuses_or_gives_samples(place: int, length: int) -> None:
    for data in (flipped(wav(SAMPLES[:20]), place), wav(SAMPLES[:20])[:length]):
        with suppress(RecordError):
            assert np.abs(parse_wav(data).audio).max(initial=0) <= 1


CHUNK_NAMES = st.sampled_from([b"fmt ", b"data", b"LIST", b"fact"])
FORMATS = st.builds(
    lambda code, tail: struct.pack("<HHIIHH", code, 1, 16_000, 32_000, 2, 16) + tail,
    st.sampled_from([1, 3, 0xFFFE]),
    st.binary(max_size=30),
)


@given(
    st.lists(
        st.tuples(CHUNK_NAMES, st.binary(max_size=9) | FORMATS, st.integers(-4, 60)), max_size=5
    ),
    st.integers(0, 200),
)
def test_parse_wav_of_any_chunks_refuses_or_gives_samples(
    chunks: list[tuple[bytes, bytes, int]], length: int
) -> None:
    body = b"".join(
        name + struct.pack("<I", max(len(content) + wrong, 0)) + content
        for name, content, wrong in chunks
    )
    data = (b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)[:length]
    with suppress(RecordError):
        parse_wav(data)


def test_parse_wav_of_empty_chunks_takes_no_memory() -> None:
    chunks = b"".join(struct.pack("<II", number, 0) for number in range(2**20))
    data = wav()[:12] + chunks + wav()[12:]
    tracemalloc.start()
    with pytest.raises(RecordError, match="the file has no chunk 'fmt '"):
        parse_wav(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
    few = wav()[:12] + chunks[: 8 * 900] + wav()[12:]
    np.testing.assert_array_equal(parse_wav(few).audio * 2**15, SAMPLES)
