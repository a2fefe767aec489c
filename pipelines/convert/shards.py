"""One byte range of a source becomes one shard: read, decode, resample, check, put.

A shard is built in memory and written by one put: a Parquet writer that is closed by an exception
commits what it has. Its footer carries the summary of its range, so that who commits or resumes a
conversion needs nothing but the shards.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.example import Example, decode
from pipelines.convert.plan import ByteRange
from pipelines.convert.resample import resample
from pipelines.convert.tfrecord import Position, Record, Span, Window, read_records
from pipelines.errors import RecordError, ShardError
from pipelines.notes import AUDIO_FIELD, DATASET_VERSION, NUM_SAMPLES, NUM_SOURCE_SAMPLES, SCHEMA

SHARD_FORMAT_VERSION: Final = 1

_SUMMARY_KEY: Final = b"nsynth_flows"
# Eight notes are two mebibytes: what a batched FFT works on stays in a core's cache.
_BATCH_NOTES: Final = 8
_ROW_GROUP_NOTES: Final = 256

QUARANTINE_SCHEMA: Final = pa.schema(
    [
        pa.field("source_file", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class ShardSummary:
    """What converting one range found.

    Attributes:
      entry: where the reader was put at the start.
      first_header: offset of the first record found, None without one.
      exit: where the reader stood at the end.
      record_bytes: bytes of the records whose checksums hold, frames included.
      spans: damage between the first header and the exit, in order.
      quarantined: number of sound records that cannot become notes, by reason.
      notes_digest: of all that a row holds but its samples, `peak` and `rms`.
      samples_digest: of the stored samples.
    """

    file: int
    begin: int
    end: int
    entry: Position
    first_header: int | None
    exit: Position
    num_notes: int
    record_bytes: int
    spans: tuple[Span, ...]
    quarantined: dict[str, int]
    quarantine_digest: str
    notes_digest: str
    samples_digest: str
    dataset_version: int = DATASET_VERSION
    format_version: int = SHARD_FORMAT_VERSION

    @property
    def name(self) -> str:
        """The name of the shard."""
        return f"part-{self.file:05d}-{self.begin:015d}.parquet"

    @property
    def num_quarantined(self) -> int:
        """Sound records that cannot become notes."""
        return sum(self.quarantined.values())


@dataclass
class _Range:
    """What one range holds, while it is read."""

    notes: list[dict[str, Any]] = field(default_factory=list)
    samples: list[NDArray[np.float32]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    first_header: int | None = None
    record_bytes: int = 0


def convert_range(
    byte_range: ByteRange, *, folder: str, entry: Position | None = None
) -> ShardSummary:
    """Converts one range and stores its shard, and its quarantine where there is one.

    Args:
      folder: where shards go; writing again replaces the shard by the same content.
      entry: where the first record begins, when the range before says so; otherwise the range
        looks for it, except at the start of a file.
    """
    source = byte_range.source
    entry = entry or Position(byte_range.begin, synced=byte_range.begin == 0)
    window = Window(lambda start, end: storage.read_range(source.uri, start, end), size=source.size)
    content, stop = _read_range(window, byte_range, entry)
    audio = np.concatenate([np.empty((0, NUM_SAMPLES), np.float32), *content.samples])
    table = to_table(content.notes, audio)
    quarantine = pa.Table.from_pylist(content.quarantined, QUARANTINE_SCHEMA)
    reasons = [row["reason"] for row in content.quarantined]
    summary = ShardSummary(
        file=byte_range.file,
        begin=byte_range.begin,
        end=byte_range.end,
        entry=entry,
        first_header=content.first_header,
        exit=stop,
        num_notes=len(content.notes),
        record_bytes=content.record_bytes,
        spans=tuple(content.spans),
        quarantined={reason: reasons.count(reason) for reason in sorted(set(reasons))},
        quarantine_digest=rows_digest(quarantine),
        notes_digest=notes_digest(table),
        samples_digest=samples_digest(table),
    )
    # The quarantine goes first: a shard that is there has all that belongs to it.
    if content.quarantined:
        storage.put(storage.join(folder, "quarantine", summary.name), encode(quarantine))
    storage.put(storage.join(folder, summary.name), encode(table, summary=summary))
    return summary


def to_table(notes: Sequence[dict[str, Any]], audio: NDArray[np.float32]) -> pa.Table:
    """Notes as rows.

    Args:
      notes: the scalar columns of each.
      audio: float32 [num_notes, 8000].
    """
    scalars = pa.Table.from_pylist(list(notes), pa.schema(list(SCHEMA)[:-1]))
    values = pa.array(audio.reshape(-1), pa.float32())
    column = pa.FixedSizeListArray.from_arrays(values, type=AUDIO_FIELD.type)
    return scalars.append_column(AUDIO_FIELD, column)


def encode(table: pa.Table, *, summary: ShardSummary | None = None) -> bytes:
    """The bytes of a Parquet file, each page with its checksum."""
    if summary is not None:
        table = table.replace_schema_metadata({_SUMMARY_KEY: json.dumps(asdict(summary))})
    audio = AUDIO_FIELD.name in table.column_names
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        row_group_size=_ROW_GROUP_NOTES,
        compression="zstd",
        write_page_checksum=True,
        # Floats of like magnitude share their high bytes; samples hardly ever repeat.
        use_byte_stream_split=["audio.list.element"] if audio else False,
        use_dictionary=[name for name in table.column_names if name.endswith("_str")],
    )
    return buffer.getvalue()


def read_summary(uri: str) -> ShardSummary:
    """The summary in a shard's footer.

    Raises:
      ShardError: the object is no shard of a version that is known.
    """
    try:
        with storage.open_seekable(uri) as file:
            metadata = pq.read_metadata(file).metadata or {}
        content = json.loads(metadata[_SUMMARY_KEY])
    except (pa.ArrowInvalid, KeyError, ValueError) as err:
        raise ShardError(f"{uri} is damaged or no shard of this project: {err}") from err
    if content["format_version"] != SHARD_FORMAT_VERSION:
        raise ShardError(
            f"{uri} has shard format {content['format_version']}, "
            f"this version reads {SHARD_FORMAT_VERSION}; convert again"
        )
    return ShardSummary(
        **content
        | {
            "entry": Position(*content["entry"]),
            "exit": Position(*content["exit"]),
            "spans": tuple(Span(*span) for span in content["spans"]),
        }
    )


def check_shard(uri: str) -> ShardSummary:
    """Reads a stored shard whole and compares it with its own summary.

    Raises:
      ShardError: a page checksum, the number of rows or a digest is wrong.
    """
    summary = read_summary(uri)
    try:
        with storage.open_seekable(uri) as file:
            table = pq.read_table(file, page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as err:
        raise ShardError(f"{uri} is damaged: {err}") from err
    found = (table.num_rows, notes_digest(table), samples_digest(table))
    expected = (summary.num_notes, summary.notes_digest, summary.samples_digest)
    if found != expected:
        raise ShardError(f"{uri} holds {found}, but its footer says {expected}")
    return summary


def notes_digest(table: pa.Table) -> str:
    """SHA-256 of what the source says of each note, its original samples by their digest."""
    # peak and rms are arithmetic, whose last bit may differ from platform to platform.
    return rows_digest(table.drop_columns(["audio", "peak", "rms"]))


def samples_digest(table: pa.Table) -> str:
    """XXH3 of the stored samples, as little-endian float32 in order of the rows."""
    state = xxhash.xxh3_128()
    for chunk in table.column("audio").chunks:
        state.update(chunk.flatten().to_numpy(zero_copy_only=True).astype("<f4", copy=False))
    return state.hexdigest()


def rows_digest(table: pa.Table) -> str:
    """SHA-256 of a table's rows as JSON, a line a row."""
    state = hashlib.sha256()
    for row in table.to_pylist():
        state.update(json.dumps(list(row.values()), ensure_ascii=True).encode() + b"\n")
    return state.hexdigest()


def _read_range(window: Window, byte_range: ByteRange, entry: Position) -> tuple[_Range, Position]:
    content = _Range()
    batch: list[tuple[Example, int]] = []
    records = read_records(window, entry, byte_range.end)
    while True:
        try:
            item = next(records)
        except StopIteration as stop:
            _add_notes(content, batch, byte_range.source.name)
            return content, stop.value
        if content.first_header is None:
            content.first_header = item.offset
        if isinstance(item, Span):
            content.spans.append(item)
            continue
        content.record_bytes += item.end - item.offset
        try:
            batch.append((decode(item.payload), item.offset))
        except RecordError as err:
            content.quarantined.append(_quarantine_row(item, err, byte_range.source.name))
        if len(batch) == _BATCH_NOTES:
            _add_notes(content, batch, byte_range.source.name)
            batch.clear()


def _add_notes(content: _Range, batch: Iterable[tuple[Example, int]], source_file: str) -> None:
    examples = list(batch)
    if not examples:
        return
    audio = np.empty((len(examples), NUM_SOURCE_SAMPLES), np.float32)
    for row, (example, offset) in enumerate(examples):
        audio[row] = example.audio
        content.notes.append(
            example.scalars
            | {
                "peak": example.peak,
                "rms": float(np.sqrt(np.dot(example.audio, example.audio) / len(example.audio))),
                "audio_digest": xxhash.xxh3_128_hexdigest(example.audio.data),
                "source_file": source_file,
                "source_offset": offset,
            }
        )
    content.samples.append(resample(audio, num_samples=NUM_SAMPLES))


def _quarantine_row(record: Record, err: RecordError, source_file: str) -> dict[str, Any]:
    return {
        "source_file": source_file,
        "offset": record.offset,
        "length": record.end - record.offset,
        "reason": err.reason,
        "detail": err.detail,
        "sha256": hashlib.sha256(record.payload).hexdigest(),
    }
