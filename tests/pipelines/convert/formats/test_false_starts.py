"""Records that are none: whole TFRecords inside payloads, and ranges that begin in them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.convert.commit.manifest import Manifest, account
from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from pipelines.dataset import open_dataset
from tests.pipelines.convert import slow_reader
from tests.pipelines.convert.conversion import Conversion
from tests.pipelines.convert.records import ATOL, flipped, frame, header, note, tfrecord

INNER = tfrecord(b"one", b"", tfrecord(b"deep"))
FILES = {
    "a file in a payload": tfrecord(b"before", b"in" + INNER + b"out", b"behind"),
    "a payload that is a file": tfrecord(INNER, INNER),
    "a file in a damaged payload": tfrecord(b"before")
    + flipped(frame(INNER + b"damaged"), -6)
    + tfrecord(b"behind"),
    "a file in a payload that has lost its header": tfrecord(b"before")
    + frame(INNER + b"behind")[12:]
    + tfrecord(b"last"),
    "a record longer than a range": tfrecord(b"x" * 150, b"short"),
    "a header that reaches over the next records": tfrecord(b"first")
    + header(60)
    + tfrecord(b"second", b"third", b"fourth", b"fifth"),
    "damage across a border": tfrecord(b"first") + b"\xff" * 60 + tfrecord(b"second"),
    "damage to the end": tfrecord(b"first", INNER) + b"\xff" * 60,
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_join_of_ranges_of_every_size_equals_the_sequential_reading(data: bytes) -> None:
    truth = slow_reader.read(data)
    # From a byte a range, so that every border cuts every record; a dozen sizes take a second.
    for range_bytes in [*range(1, 30, 4), *range(30, len(data) + 20, 11)]:
        conversion = Conversion(data, range_bytes)
        found = account(conversion.join(), size=len(data))
        assert [tuple(span) for span in found.spans] == truth.spans
        assert conversion.records() == [offset for offset, _ in truth.records]


@pytest.mark.parametrize("border", range(1, 14 + len(INNER)))
def test_join_is_not_misled_by_a_range_that_begins_anywhere_in_a_payload(border: int) -> None:
    data = frame(INNER) + frame(b"behind" * 10)
    conversion = Conversion(data, border)
    assert account(conversion.join(), size=len(data)).spans == ()
    assert conversion.records() == [0, len(INNER) + 16]


def notes_in_every_wrong_place() -> tuple[bytes, list[int]]:
    """A file of real-size records, and the numbers of those that are notes of it."""
    inner = tfrecord(*[note(number) for number in (20, 21, 22)])
    parts = [
        tfrecord(note(0)),
        # Sound notes inside a payload, which are no notes of this file.
        frame(b"x" * 1000 + inner),
        tfrecord(note(1)),
        # Longer than a range.
        frame(b"y" * 900_000),
        tfrecord(note(2)),
        # Damaged, with sound notes inside, and the file goes on behind it.
        flipped(frame(inner), -6),
        tfrecord(note(3)),
        # Wider than a range.
        b"\xff" * 700_000,
        tfrecord(note(4)),
    ]
    return b"".join(parts), [0, 1, 2, 3, 4]


def test_convert_of_small_ranges_equals_one_range_whatever_stands_in_payloads(
    tmp_path: Path,
) -> None:
    data, numbers = notes_in_every_wrong_place()
    source = tmp_path / "misleading.tfrecord"
    source.write_bytes(data)

    def run(range_bytes: int) -> tuple[Manifest, list[dict[str, Any]], np.ndarray[Any, Any]]:
        uri, manifest = convert(
            [str(source)],
            root=str(tmp_path / str(range_bytes)),
            parameters=Parameters(range_bytes=range_bytes),
            num_workers=2,
            max_quarantined=1,
        )
        dataset = open_dataset(uri)
        rows = dataset.read(["note", "audio_digest", "source_offset"]).to_pylist()
        return manifest, rows, np.concatenate(list(dataset.iter_audio()))

    manifest, rows, audio = run(250_000)
    expected, expected_rows, expected_audio = run(10**9)
    assert len(manifest.shards) > len(rows) > len(expected.shards) == 1
    assert [row["note"] for row in rows] == numbers
    assert rows == expected_rows
    np.testing.assert_allclose(audio, expected_audio, rtol=0, atol=ATOL)
    assert (manifest.spans, manifest.quarantined) == (expected.spans, expected.quarantined)
    assert manifest.record_bytes + manifest.skipped_bytes == len(data)
    truth = slow_reader.read(data)
    assert [(s.offset, s.length, s.reason) for s in manifest.spans] == truth.spans
