"""Sources that can only be read from front to back: one worker makes all their shards, in order.

The length of such a source is unknown before its end, so the last shard is marked as the last. A
crash leaves the first shards: conversion continues after them.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

from pipelines import storage
from pipelines.convert.formats.byte_stream import NO_END, ReadAhead, Window
from pipelines.convert.formats.tfrecord import START, Position
from pipelines.convert.reading.archives import RecordStream, open_archive
from pipelines.convert.reading.jsonwav import read_items
from pipelines.convert.reading.sources import GZIP
from pipelines.convert.reading.tfrecord_range import read_range
from pipelines.convert.shards.plan import SHARDS_FOLDER, ByteRange, shard_uri
from pipelines.convert.shards.shard import (
    Converted,
    ShardSummary,
    build_shard,
    check_shard,
    read_shard,
    read_summary,
)
from pipelines.errors import ShardError

log = logging.getLogger(__name__)


def convert_pieces(first: ByteRange) -> Iterator[Converted]:
    """Convert a range, or a stream from the range on in pieces of its length; store nothing."""
    if not first.source.is_stream:
        yield read_shard(first)
    elif first.source.form == GZIP:
        yield from _records(first)
    else:
        yield from _notes(first)


def remaining_range(first: ByteRange, *, folder: str) -> ByteRange | None:
    """Return the range after the intact shards of a stream; None if its last shard is stored."""
    stored = storage.sizes(storage.join(folder, SHARDS_FOLDER))
    while first.shard_name in stored:
        try:
            uri = shard_uri(folder, first.shard_name)
            summary = check_shard(uri, num_samples=first.num_samples)
        except ShardError as err:
            log.warning("converting its source again from there on: %s", err)
            break
        if summary.is_last:
            return None
        first = _following(first, entry=summary.exit)
    return first


def read_summaries(first: ByteRange, *, folder: str) -> list[ShardSummary]:
    """Return the summaries of all shards of a stream.

    Raises:
      ShardError: one is damaged or missing.
    """
    summaries = list[ShardSummary]()
    while not summaries or not summaries[-1].is_last:
        uri = shard_uri(folder, first.shard_name)
        if not storage.exists(uri):
            raise ShardError(f"{uri} is missing, and no shard before it is its source's last")
        summaries.append(read_summary(uri))
        first = _following(first, entry=summaries[-1].exit)
    return summaries


def _records(first: ByteRange, *, is_again: bool = False) -> Iterator[Converted]:
    """Convert a compressed TFRecord file in ranges of the decompressed bytes.

    Args:
      is_again: whether the stream is read a second time, since a part of it came damaged.
    """
    is_final = is_again or storage.local_path(first.source.uri) is not None
    stream = RecordStream(first.source)
    with ReadAhead(stream.read, stop=NO_END) as read:
        window = Window(read, size=None)
        piece, entry, is_last = first, first.entry or START, False
        while not is_last:
            content = read_range(
                window,
                entry,
                end=piece.end,
                source_file=first.source.name,
                num_samples=first.num_samples,
            )
            is_last = not window.reaches(piece.end + 1, keep=content.exit.offset)
            if not is_final and (content.spans or not content.exit.synced or stream.fault):
                log.warning("%s came damaged; reading it again", first.source.uri)
                break
            yield build_shard(
                content,
                replace(piece, end=min(piece.end, window.size)),
                entry=entry,
                is_last=is_last,
                fault=stream.fault if is_last else None,
            )
            piece, entry = _following(piece, entry=content.exit), content.exit
        else:
            return
    yield from _records(replace(piece, entry=entry), is_again=True)


def _notes(first: ByteRange) -> Iterator[Converted]:
    """Convert a compressed archive of the json + wav form in ranges of notes."""
    with open_archive(first.source, begin=first.begin) as items:
        piece, ahead, is_last = first, list(islice(items, 1)), False
        while not is_last:
            batch = chain(ahead, islice(items, piece.end - piece.begin - 1))
            content = read_items(
                batch,
                begin=piece.begin,
                source_file=first.source.name,
                num_samples=first.num_samples,
            )
            # Only the next note shows whether more follows.
            ahead = list(islice(items, 1))
            is_last = not ahead
            yield build_shard(
                content,
                replace(piece, end=content.exit.offset),
                entry=Position(piece.begin, synced=True),
                is_last=is_last,
            )
            piece = _following(piece, entry=content.exit)


def _following(piece: ByteRange, *, entry: Position) -> ByteRange:
    length = piece.end - piece.begin
    return replace(piece, begin=piece.end, end=piece.end + length, entry=entry)
