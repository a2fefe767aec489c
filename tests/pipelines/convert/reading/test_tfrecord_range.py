import hashlib

import numpy as np
import pytest
import xxhash

from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES, Position
from pipelines.convert.reading.tfrecord_range import (
    MAX_SET_ASIDE,
    RangeResult,
    read_range,
    resample,
)
from pipelines.errors import DatasetError
from tests.pipelines.convert.records import (
    ATOL,
    flipped,
    floats,
    frame,
    header,
    note,
    numbers,
    reader,
    sound,
    texts,
    tfrecord,
)


def member_form(data: bytes) -> RangeResult:
    window = Window(reader(data), size=len(data))
    start = Position(0, synced=True)
    return read_range(window, start, end=len(data), source_file="file.tfrecord", num_samples=8_000)


def nan() -> bytes:
    audio = sound(5)
    audio[100] = np.nan
    return floats(audio)


RECORD = frame(note(5))
SPANS = {
    "flipped length": (flipped(RECORD, 1), "length_crc"),
    "flipped checksum of the length": (flipped(RECORD, 8), "length_crc"),
    "flipped payload": (flipped(RECORD, 100_000), "payload_crc"),
    "flipped checksum of the payload": (flipped(RECORD, -2), "payload_crc"),
    "cut short": (RECORD[:100_000], "payload_crc"),
    "incredible length": (header(MAX_RECORD_BYTES + 1) + RECORD[12:], "record_too_long"),
    "zeros": (bytes(len(RECORD)), "length_crc"),
}
QUARANTINED = {
    "no example": (b"not a message", "unparsable"),
    "no pitch": (note(5, pitch=None), "missing_feature"),
    "pitch as text": (note(5, pitch=texts(b"60")), "wrong_type"),
    "63,999 samples": (note(5, audio=floats(sound(5)[1:])), "wrong_length"),
    "two velocities": (note(5, velocity=numbers(1, 2)), "wrong_length"),
    "NaN": (note(5, audio=nan()), "not_finite"),
    "far too loud": (note(5, audio=floats(sound(5) * 10_000)), "out_of_range"),
    "name in latin-1": (note(5, note_str=texts(b"\xe9")), "not_text"),
}


@pytest.mark.parametrize(("damaged", "reason"), SPANS.values(), ids=SPANS.keys())
def test_read_range_skips_damage_and_keeps_the_notes_around_it(damaged: bytes, reason: str) -> None:
    before, behind = tfrecord(note(1), note(2)), tfrecord(note(3))
    found = member_form(before + damaged + behind)
    assert [row["note"] for row in found.notes] == [1, 2, 3]
    assert [tuple(span) for span in found.spans] == [(len(before), len(damaged), reason)]
    assert found.record_bytes == len(before + behind)
    assert not found.quarantined


@pytest.mark.parametrize(("payload", "reason"), QUARANTINED.values(), ids=QUARANTINED.keys())
def test_read_range_sets_a_record_aside_and_keeps_the_notes_around_it(
    payload: bytes, reason: str
) -> None:
    before, behind = tfrecord(note(1), note(2)), tfrecord(note(3))
    data = before + frame(payload) + behind
    found = member_form(data)
    assert [row["note"] for row in found.notes] == [1, 2, 3]
    (row,) = found.quarantined
    assert row.pop("detail")
    assert row == {
        "source_file": "file.tfrecord",
        "offset": len(before),
        "length": len(payload) + 16,
        "reason": reason,
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    assert found.record_bytes == len(data)
    assert not found.spans


def test_read_range_sets_aside_in_the_order_of_the_file() -> None:
    # What is wrong with samples shows later than what is wrong with a message.
    payloads = [note(1, audio=nan()), b"not a message", note(2), note(3, audio=nan()), b"nor this"]
    found = member_form(tfrecord(*payloads))
    offsets = [row["offset"] for row in found.quarantined]
    assert offsets == sorted(offsets)
    assert [row["reason"] for row in found.quarantined] == ["not_finite", "unparsable"] * 2
    assert [row["note"] for row in found.notes] == [2]
    np.testing.assert_allclose(
        found.samples[0], resample(sound(2)[None], num_samples=8000), atol=ATOL
    )


def test_read_range_of_a_truncated_file_keeps_what_is_whole() -> None:
    data = tfrecord(note(1), note(2))
    found = member_form(data[:-1000])
    assert [row["note"] for row in found.notes] == [1]
    assert [(span.length, span.reason) for span in found.spans] == [
        (len(frame(note(2))) - 1000, "truncated")
    ]


def test_read_range_refuses_to_set_aside_more_than_fits_memory() -> None:
    data = tfrecord(note(1)) + (frame(b"") + b"?") * (MAX_SET_ASIDE // 2) + tfrecord(note(2))
    assert [row["note"] for row in member_form(data).notes] == [1, 2]
    with pytest.raises(DatasetError, match="more than 65536 records between bytes 0 and "):
        member_form(data + frame(b""))


def test_read_range_describes_the_original_samples() -> None:
    (row,) = member_form(tfrecord(note(4))).notes
    exact = sound(4).astype(np.float64)
    assert row["peak"] == np.abs(exact).max()
    assert row["rms"] == pytest.approx(np.sqrt(np.mean(exact**2)), rel=1e-5)
    assert row["audio_digest"] == xxhash.xxh3_128_hexdigest(sound(4).tobytes())
    assert (row["source_file"], row["source_offset"]) == ("file.tfrecord", 0)


def test_read_range_keeps_samples_beside_their_notes_over_many_batches() -> None:
    order = [7, 3, 11, 0, 9, 2, 8, 1, 10, 5, 4, 6, 12, 14, 13, 16, 15]
    found = member_form(tfrecord(*[note(number) for number in order]))
    samples = np.concatenate(found.samples)
    alone = np.concatenate([member_form(tfrecord(note(n))).samples[0] for n in order])
    assert [row["note"] for row in found.notes] == order
    np.testing.assert_allclose(samples, alone, rtol=0, atol=ATOL)
