import dataclasses
import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.convert.formats.tfrecord import Position
from pipelines.convert.reading.sources import Source
from pipelines.convert.shards.plan import ByteRange
from pipelines.convert.shards.shard import (
    SHARD_FORMAT_VERSION,
    add_summary,
    check_shard,
    convert_range,
    read_summary,
)
from pipelines.errors import ShardError
from pipelines.note_schema import SCHEMA
from pipelines.parquet import encode
from tests.pipelines.convert.records import note, sound, texts, tfrecord

GOLDEN_SCHEMA = [
    ("note_str", "string"),
    ("note", "int64"),
    ("instrument", "int64"),
    ("instrument_str", "string"),
    ("pitch", "int64"),
    ("velocity", "int64"),
    ("sample_rate", "int64"),
    ("qualities", "fixed_size_list<element: int64 not null>[10]"),
    ("qualities_str", "list<element: string not null>"),
    ("instrument_family", "int64"),
    ("instrument_family_str", "string"),
    ("instrument_source", "int64"),
    ("instrument_source_str", "string"),
    ("peak", "float"),
    ("rms", "float"),
    ("audio_digest", "string"),
    ("source_file", "string"),
    ("source_offset", "int64"),
    ("audio", "fixed_size_list<element: float not null>[8000]"),
]


def range_of(path: Path, begin: int = 0, end: int | None = None) -> ByteRange:
    size = path.stat().st_size
    source = Source(path.name, str(path), size, "")
    return ByteRange(0, source, begin, size if end is None else end)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "nsynth.tfrecord"
    path.write_bytes(tfrecord(*[note(number) for number in range(3)]))
    return path


@pytest.fixture
def shard(source: Path) -> Path:
    summary = convert_range(range_of(source), folder=str(source.parent / "notes"))
    return source.parent / "notes" / "data" / summary.name


def test_convert_range_writes_the_golden_schema(shard: Path) -> None:
    schema = pq.read_schema(shard)
    assert [(field.name, str(field.type)) for field in schema] == GOLDEN_SCHEMA
    assert schema.field("audio").metadata[b"sample_rate_hz"] == b"2000"
    # Parquet's own types, for readers without Arrow.
    leaves = pq.ParquetFile(shard).schema
    types = {leaves.column(i).path: leaves.column(i).physical_type for i in range(len(leaves))}
    assert types["audio.list.element"] == "FLOAT"
    assert types["note_str"] == "BYTE_ARRAY"


def test_convert_range_compresses_floats_byte_by_byte(shard: Path) -> None:
    group = pq.read_metadata(shard).row_group(0)
    audio = group.column(group.num_columns - 1)
    assert audio.path_in_schema == "audio.list.element"
    assert "BYTE_STREAM_SPLIT" in audio.encodings
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}


def test_convert_range_writes_rows_that_pyarrow_reads_with_checksums(shard: Path) -> None:
    table = pq.read_table(shard, page_checksum_verification=True)
    assert table.column("note").to_pylist() == [0, 1, 2]
    assert table.column("note_str")[2].as_py() == "flute_acoustic_002-022-100"
    samples = np.array(table.column("audio").to_pylist(), np.float32)
    assert samples.shape == (3, 8000)
    np.testing.assert_allclose(samples[1].mean(), sound(1).mean(), atol=1e-4)


def test_every_page_has_a_checksum(shard: Path) -> None:
    data, metadata = shard.read_bytes(), pq.read_metadata(shard)
    group = metadata.row_group(0)
    for place in range(group.num_columns):
        column = group.column(place)
        # The end of a column's bytes is the content of its last page, whatever its header is.
        end = (column.dictionary_page_offset or column.data_page_offset) + (
            column.total_compressed_size
        )
        damaged = bytearray(data)
        damaged[end - 1] ^= 1
        shard.write_bytes(damaged)
        name = column.path_in_schema.partition(".")[0]
        with pytest.raises(OSError, match="CRC"):
            pq.read_table(shard, columns=[name], page_checksum_verification=True)


def test_convert_range_stores_the_summary_that_it_returns(source: Path) -> None:
    folder = source.parent / "notes"
    summary = convert_range(range_of(source, 0, 300_000), folder=str(folder))
    uri = str(folder / "data" / summary.name)
    assert read_summary(uri) == check_shard(uri, num_samples=8_000) == summary
    assert (summary.num_notes, summary.first_header) == (2, 0)
    assert summary.exit.offset == summary.record_bytes > 300_000


def test_convert_range_without_a_record_writes_an_empty_shard(source: Path) -> None:
    folder = source.parent / "notes"
    summary = convert_range(range_of(source, 1000, 2000), folder=str(folder))
    table = pq.read_table(folder / "data" / summary.name)
    assert (table.num_rows, table.schema.names) == (0, SCHEMA.names)
    assert check_shard(str(folder / "data" / summary.name), num_samples=8_000) == summary
    assert (summary.first_header, summary.exit) == (None, Position(2000, synced=False))


def test_convert_range_twice_writes_the_same_bytes(source: Path, shard: Path) -> None:
    first = shard.read_bytes()
    convert_range(range_of(source), folder=str(shard.parents[1]))
    assert shard.read_bytes() == first


def test_convert_range_that_fails_writes_no_shard(source: Path) -> None:
    byte_range = range_of(source)
    source.write_bytes(source.read_bytes()[:300_000])
    with pytest.raises(OSError, match="the source ends at byte 300000"):
        convert_range(byte_range, folder=str(source.parent / "notes"))
    assert not (source.parent / "notes").exists()


def test_convert_range_lists_what_it_set_aside(source: Path) -> None:
    spoilt = note(1, note_str=texts(b"\xff"))
    source.write_bytes(tfrecord(note(0), spoilt))
    summary = convert_range(range_of(source), folder=str(source.parent / "notes"))
    assert summary.quarantined == {"not_text": 1}
    assert pq.read_table(source.parent / "notes/quarantine" / summary.name).to_pylist() == [
        {
            "source_file": "nsynth.tfrecord",
            "offset": len(tfrecord(note(0))),
            "length": len(spoilt) + 16,
            "reason": "not_text",
            "detail": "feature 'note_str' is not UTF-8",
            "sha256": hashlib.sha256(spoilt).hexdigest(),
        }
    ]


def test_convert_range_from_another_entry_replaces_what_was_set_aside(source: Path) -> None:
    # Records inside a payload are sound, but no notes.
    inner = tfrecord(b"inner one", b"inner two")
    source.write_bytes(tfrecord(b"x" * 100 + inner, note(0)))
    folder, byte_range = source.parent / "notes", range_of(source, 50)
    wrong = convert_range(byte_range, folder=str(folder))
    assert wrong.num_quarantined == 2
    entry = Position(len(tfrecord(b"x" * 100 + inner)), synced=True)
    right = convert_range(byte_range, folder=str(folder), entry=entry)
    assert (right.quarantined, right.num_notes) == ({}, 1)
    assert pq.read_table(folder / "quarantine" / right.name).num_rows == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**9), bits=st.integers(1, 255))
def test_check_shard_notices_damage_wherever_it_is(shard: Path, place: int, bits: int) -> None:
    folder = shard.parent / "damaged"
    folder.mkdir(exist_ok=True)
    data = bytearray(shard.read_bytes())
    data[place % len(data)] ^= bits
    (folder / shard.name).write_bytes(data)
    # Some bytes of Parquet mean nothing: then all that a reader sees is as it was.
    with suppress(ShardError):
        assert check_shard(str(folder / shard.name), num_samples=8_000) == read_summary(str(shard))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.98, 0.99, 1])
def test_check_shard_refuses_a_shard_cut_short(shard: Path, share: float) -> None:
    data = shard.read_bytes()
    shard.write_bytes(data[: int(share * len(data)) - 1])
    with pytest.raises(ShardError, match="is damaged: "):
        check_shard(str(shard), num_samples=8_000)


def test_check_shard_refuses_what_is_none(shard: Path) -> None:
    for content in (b"", b"text", encode(pa.table({"note": [1]}))):
        shard.write_bytes(content)
        with pytest.raises(ShardError, match=r"is damaged: |is not a shard of this project"):
            check_shard(str(shard), num_samples=8_000)


def test_check_shard_refuses_another_ranges_shard(shard: Path) -> None:
    copy = shard.with_name("part-00000-000000000000777.parquet")
    shutil.copy(shard, copy)
    with pytest.raises(ShardError, match=rf"{copy.name} holds the range of {shard.name}"):
        check_shard(str(copy), num_samples=8_000)


def test_check_shard_refuses_rows_that_the_summary_does_not_know(shard: Path) -> None:
    summary, table = read_summary(str(shard)), pq.read_table(shard)
    other = table.set_column(1, SCHEMA.field("note"), pa.array([0, 1, 7], pa.int64()))
    for changed in (table.slice(1), other):
        shard.write_bytes(encode(add_summary(changed, summary)))
        with pytest.raises(ShardError, match=r"holds .*, but its footer says"):
            check_shard(str(shard), num_samples=8_000)


def test_read_summary_refuses_a_summary_that_was_changed(shard: Path) -> None:
    metadata = pq.read_schema(shard).metadata
    stored = json.loads(metadata[b"nsynth_flows"])
    stored["summary"]["record_bytes"] += 1
    table = pq.read_table(shard).replace_schema_metadata({"nsynth_flows": json.dumps(stored)})
    pq.write_table(table, shard)
    with pytest.raises(ShardError, match="its summary does not have the digest it was given"):
        read_summary(str(shard))


def test_read_summary_refuses_an_unknown_version(shard: Path) -> None:
    newer = SHARD_FORMAT_VERSION + 1
    summary = dataclasses.replace(read_summary(str(shard)), format_version=newer)
    shard.write_bytes(encode(add_summary(pq.read_table(shard), summary)))
    with pytest.raises(ShardError, match=f"has shard format {newer}, this version reads"):
        read_summary(str(shard))
