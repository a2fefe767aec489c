"""One range of a source of any form becomes its shards."""

from collections.abc import Iterator

from pipelines.convert.jsonwav import read_part
from pipelines.convert.plan import ByteRange
from pipelines.convert.shards import ShardSummary, convert_range, summarised, write_of
from pipelines.convert.streams import convert_stream
from pipelines.convert.tfrecord import Position
from pipelines.convert.writebehind import Store


def convert(byte_range: ByteRange, *, folder: str, store: Store) -> Iterator[ShardSummary]:
    """Converts a range and stores its shard; of a stream, all shards from there on."""
    if byte_range.source.is_stream:
        yield from convert_stream(byte_range, folder=folder, store=store)
    elif byte_range.part is not None:
        content = read_part(byte_range.source, byte_range.part)
        entry = Position(byte_range.begin, synced=True)
        converted = summarised(content, byte_range, entry=entry)
        store(write_of(converted, folder=folder))
        yield converted.summary
    else:
        yield convert_range(byte_range, folder=folder, store=store)
