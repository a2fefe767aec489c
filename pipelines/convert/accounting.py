"""Every byte of a source, in one record or one span: the ranges' findings joined into one reading.

The truth is what one reader finds that goes through the file from its first byte. A range that was
read on its own agrees with it, or names the wrong first record: a whole TFRecord may lie inside
another one's payload. Pure: neither storage nor engine.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipelines.convert.gunzip import Fault
from pipelines.convert.shards import ShardSummary
from pipelines.convert.tfrecord import Position, Span
from pipelines.errors import ShardError

START = Position(0, synced=True)


@dataclass(frozen=True)
class Account:
    """A source's bytes.

    Attributes:
      record_bytes: of the records whose checksums hold.
      spans: the rest, in order; damage across a range's border is one span.
    """

    size: int
    record_bytes: int
    spans: tuple[Span, ...]

    @property
    def skipped_bytes(self) -> int:
        """Bytes of all spans."""
        return sum(span.length for span in self.spans)


def follows(position: Position, shard: ShardSummary) -> bool:
    """Whether the range was read as a reader at `position` would have read it."""
    if shard.entry == position:
        return True
    if shard.entry.synced or not position.synced:
        return False
    if position.offset >= shard.end:
        return shard.first_header is None
    return shard.first_header == position.offset


def leave(position: Position, shard: ShardSummary) -> Position:
    """Where a reader that came to the range at `position` stands behind it."""
    if position.synced and position.offset >= shard.end:
        return position
    return shard.exit


def join(
    shards: Iterable[ShardSummary], *, again: Callable[[ShardSummary, Position], ShardSummary]
) -> list[ShardSummary]:
    """The ranges of one source as one reader finds them.

    Args:
      shards: of all ranges in order, each read on its own.
      again: reads the range of a shard again, from where the reader comes to it.
    """
    joined, position = list[ShardSummary](), START
    for shard in shards:
        joined.append(shard if follows(position, shard) else again(shard, position))
        position = leave(position, joined[-1])
    return joined


def account(shards: Sequence[ShardSummary], *, size: int) -> Account:
    """Joins the ranges of one source.

    Args:
      shards: of all its ranges in order, each following the one before.
      size: bytes of the source.

    Raises:
      ShardError: the ranges leave a gap, overlap, or do not add up to the source.
    """
    position, spans, next_begin = START, list[Span](), 0
    for shard in shards:
        if shard.begin != next_begin or not follows(position, shard):
            raise ShardError(
                f"shard {shard.name} begins at byte {shard.begin} and follows "
                f"{shard.entry}, expected byte {next_begin} and {position}"
            )
        if not position.synced:
            stop = shard.end if shard.first_header is None else shard.first_header
            spans[-1] = spans[-1]._replace(length=stop - spans[-1].offset)
        spans.extend(shard.spans)
        position, next_begin = leave(position, shard), shard.end
    if shards and shards[-1].fault:
        spans = _blamed(spans, shards[-1].fault)
    found = Account(size, sum(shard.record_bytes for shard in shards), tuple(spans))
    if position.offset != next_begin or found.record_bytes + found.skipped_bytes != size:
        raise ShardError(
            f"{found.record_bytes} bytes in records and {found.skipped_bytes} skipped do not make "
            f"the {size} bytes of the source; convert again with --force"
        )
    return found


def _blamed(spans: Sequence[Span], fault: Fault) -> list[Span]:
    """The spans with the reason for the one in which the stream broke off.

    Where it broke off between two records, and nothing of it is left, an empty span says so.
    """
    at = [i for i, span in enumerate(spans) if span.offset <= fault.offset <= span.end]
    if not at:
        return [*spans, Span(fault.offset, 0, fault.reason)]
    return [*spans[: at[-1]], spans[at[-1]]._replace(reason=fault.reason), *spans[at[-1] + 1 :]]
