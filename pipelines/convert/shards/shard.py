"""One byte range of a source becomes one shard, and a stored shard is read back and checked.

A shard is built in memory and written by one put: a Parquet writer that is closed by an exception
commits what it has. Its footer carries the summary of its range, so committing or resuming a
conversion needs nothing but the shards.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.formats.byte_stream import Fault, ReadAhead, Window
from pipelines.convert.formats.tfrecord import Position, Span
from pipelines.convert.reading.jsonwav import read_part
from pipelines.convert.reading.sources import fetcher
from pipelines.convert.reading.tfrecord_range import RangeResult, read_range
from pipelines.convert.shards.plan import ByteRange, shard_uri
from pipelines.errors import DatasetError, ShardError
from pipelines.note_schema import SCALAR_FIELDS, audio_field, schema
from pipelines.notes import DATASET_VERSION
from pipelines.parquet import encode, open_parquet, reread
from pipelines.records import digest, parse, validated
from pipelines.text import listed

SHARD_FORMAT_VERSION: Final = 1

_SUMMARY_KEY: Final = b"nsynth_flows"

# One row per quarantined record or span; `sha256` is of the payload, or of the span's bytes.
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
    """The result of converting one range.

    Attributes:
      entry: where the reader was put at the start.
      first_header: offset of the first record found, None without one.
      exit: where the reader stood at the end.
      record_bytes: bytes of the records whose checksums hold, frames included.
      spans: damage between the first header and the exit, in order.
      quarantined: number of valid records that cannot become notes, by reason.
      notes_digest: of all that a row holds but its samples, `peak` and `rms`.
      samples_digest: of the stored samples.
      is_last: whether its source ends with the range, which only streams have to say.
      fault: where and why the stream broke off, if it did.
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
    is_last: bool = False
    fault: Fault | None = None
    dataset_version: int = DATASET_VERSION
    format_version: int = SHARD_FORMAT_VERSION

    @property
    def name(self) -> str:
        """Return the name of the shard."""
        return f"part-{self.file:05d}-{self.begin:015d}.parquet"

    @property
    def num_quarantined(self) -> int:
        """Return the number of valid records that cannot become notes."""
        return sum(self.quarantined.values())


@dataclass(frozen=True)
class Converted:
    """A stored range: its notes, its quarantine, and the summary of both."""

    table: pa.Table
    quarantine: pa.Table
    summary: ShardSummary


def convert_range(
    byte_range: ByteRange, *, folder: str, entry: Position | None = None
) -> ShardSummary:
    """Convert one range and store its shard, and its quarantine where there is one.

    Args:
      folder: of the data set; writing again replaces the shard by the same content.
      entry: where the first record begins, when the range before says so; otherwise the range
        looks for it, except at the start of a file.
    """
    converted = read_shard(byte_range, entry=entry)
    put_objects(encode_shard(converted, folder=folder, replaces=entry is not None))
    return converted.summary


def read_shard(byte_range: ByteRange, *, entry: Position | None = None) -> Converted:
    """Convert one range of a source that is not a stream; store nothing. See `convert_range`."""
    source = byte_range.source
    if byte_range.part is not None:
        first = Position(byte_range.begin, synced=True)
        content = read_part(source, byte_range.part, num_samples=byte_range.num_samples)
        return build_shard(content, byte_range, entry=first)
    fetch = fetcher(source)
    reread = fetch if storage.local_path(source.uri) is None else None
    with ReadAhead(fetch, stop=byte_range.end) as read:
        window = Window(read, size=source.size, reread=reread)
        return convert_bytes(window, byte_range, entry=entry)


def encode_shard(
    converted: Converted, *, folder: str, replaces: bool = False
) -> list[tuple[str, bytes]]:
    """Return the objects of a shard, each with its URI, in the order in which they are stored.

    Args:
      replaces: whether the range was read before from another entry; what was wrongly set aside
        then is replaced too.
    """
    name = converted.summary.name
    objects = [(shard_uri(folder, name), encode(add_summary(converted.table, converted.summary)))]
    # The quarantine goes first: a shard that is there has all that belongs to it.
    if converted.summary.quarantined or replaces:
        quarantine = storage.join(folder, "quarantine", name)
        objects.insert(0, (quarantine, encode(converted.quarantine)))
    return objects


def put_objects(objects: Sequence[tuple[str, bytes]]) -> None:
    """Store objects in their order."""
    for uri, data in objects:
        storage.put(uri, data)


def convert_bytes(
    window: Window, byte_range: ByteRange, *, entry: Position | None = None
) -> Converted:
    """Convert one range of the bytes in a window; store nothing."""
    entry = entry or Position(byte_range.begin, synced=byte_range.begin == 0)
    content = read_range(
        window,
        entry,
        end=byte_range.end,
        source_file=byte_range.source.name,
        num_samples=byte_range.num_samples,
    )
    return build_shard(content, byte_range, entry=entry)


def build_shard(
    content: RangeResult,
    byte_range: ByteRange,
    *,
    entry: Position,
    is_last: bool = False,
    fault: Fault | None = None,
) -> Converted:
    """Build the table, quarantine and summary of one range; `ShardSummary` has the arguments."""
    audio = np.concatenate([np.empty((0, byte_range.num_samples), np.float32), *content.samples])
    table = to_table(content.notes, audio)
    quarantine = pa.Table.from_pylist(content.quarantined, QUARANTINE_SCHEMA)
    reasons = [row["reason"] for row in content.quarantined]
    summary = ShardSummary(
        file=byte_range.file,
        begin=byte_range.begin,
        end=byte_range.end,
        entry=entry,
        first_header=content.first_header,
        exit=content.exit,
        num_notes=len(content.notes),
        record_bytes=content.record_bytes,
        spans=tuple(content.spans),
        quarantined={reason: reasons.count(reason) for reason in sorted(set(reasons))},
        quarantine_digest=rows_digest(quarantine),
        notes_digest=notes_digest(table),
        samples_digest=samples_digest(table),
        is_last=is_last,
        fault=fault,
    )
    return Converted(table, quarantine, summary)


def to_table(notes: Sequence[dict[str, Any]], audio: NDArray[np.float32]) -> pa.Table:
    """Return a table with one row per note.

    Args:
      notes: the scalar columns of each.
      audio: float32 [num_notes, num_samples].
    """
    scalars = pa.Table.from_pylist(list(notes), pa.schema(SCALAR_FIELDS))
    values, field = pa.array(audio.reshape(-1), pa.float32()), audio_field(audio.shape[1])
    column = pa.FixedSizeListArray.from_arrays(values, type=field.type)
    return scalars.append_column(field, column)


def add_summary(table: pa.Table, summary: ShardSummary) -> pa.Table:
    """Return a shard's table with its summary in the metadata, which goes into the footer."""
    # No page checksum covers a footer, so that the summary brings its own.
    content = asdict(summary)
    stored = json.dumps({"summary": content, "digest": digest(content)})
    return table.replace_schema_metadata({_SUMMARY_KEY: stored})


def read_summary(uri: str) -> ShardSummary:
    """Return the summary in a stored shard's footer.

    Raises:
      ShardError: the object is damaged, or no shard of a version that is known.
    """

    def read() -> ShardSummary:
        with open_parquet(uri, whole=False) as file:
            return summary_of(file, uri)

    return reread(uri, read)


def summary_of(file: pq.ParquetFile, uri: str) -> ShardSummary:
    """Return the summary in the footer of an opened shard.

    Raises:
      ShardError: there is none, it is damaged, or of a version that is not known.
    """
    try:
        stored = parse((file.metadata.metadata or {})[_SUMMARY_KEY])
        content, version = stored["summary"], stored["summary"]["format_version"]
    except (KeyError, ValueError, TypeError) as err:
        raise ShardError(f"{uri} is not a shard of this project") from err
    if version != SHARD_FORMAT_VERSION:
        raise ShardError(
            f"{uri} has shard format {version}, this version reads {SHARD_FORMAT_VERSION}"
        )
    if stored.get("digest") != digest(content):
        raise ShardError(f"{uri} is damaged: its summary does not have the digest it was given")
    try:
        mend = "convert it again"
        summary = validated(content, ShardSummary, uri=uri, what="a shard", mend=mend)
    except DatasetError as err:
        raise ShardError(str(err)) from err
    if summary.name != storage.name(uri):
        raise ShardError(f"{uri} holds the range of {summary.name}")
    return summary


def check_shard(uri: str, *, num_samples: int) -> ShardSummary:
    """Read a stored shard whole and compare it with its own summary.

    Args:
      num_samples: samples per note that it should have.

    Raises:
      ShardError: a page checksum, the schema, the number of rows or a digest is wrong.
    """
    with open_parquet(uri, whole=True) as file:
        summary, table = summary_of(file, uri), file.read()
    if not table.schema.equals(schema(num_samples)):
        raise ShardError(
            f"{uri} is damaged: its columns are {listed(table.column_names)}, expected those of "
            f"notes of {num_samples} samples"
        )
    found = (table.num_rows, notes_digest(table), samples_digest(table))
    expected = (summary.num_notes, summary.notes_digest, summary.samples_digest)
    if found != expected:
        raise ShardError(f"{uri} holds {found}, but its footer says {expected}")
    return summary


def notes_digest(table: pa.Table) -> str:
    """Return the SHA-256 of each note's columns, its original samples by their digest."""
    # peak and rms are arithmetic, whose last bit may differ from platform to platform.
    return rows_digest(table.drop_columns(["audio", "peak", "rms"]))


def samples_digest(table: pa.Table) -> str:
    """Return the XXH3 of the stored samples, as little-endian float32 in order of the rows."""
    state = xxhash.xxh3_128()
    for chunk in table.column("audio").chunks:
        state.update(chunk.flatten().to_numpy(zero_copy_only=True).astype("<f4", copy=False))
    return state.hexdigest()


def rows_digest(table: pa.Table) -> str:
    """Return the SHA-256 of a table's rows as JSON, one line per row."""
    state = hashlib.sha256()
    for row in table.to_pylist():
        state.update(json.dumps(list(row.values()), ensure_ascii=True).encode() + b"\n")
    return state.hexdigest()
