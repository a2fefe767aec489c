"""Ranges of sources of any form become shards: one after the other, or several at a time."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from pipelines.convert.jsonwav import read_part
from pipelines.convert.plan import ByteRange
from pipelines.convert.shards import ShardSummary, convert_range, summarised, write_of
from pipelines.convert.streams import convert_stream
from pipelines.convert.tfrecord import Position
from pipelines.convert.writebehind import Store, Write, WriteBehind


@dataclass(frozen=True)
class Outcome:
    """A range that is converted.

    Attributes:
      shards: one, or of a stream all from the range on.
      seconds: how long it took; the last write may still be on its way.
    """

    shards: tuple[ShardSummary, ...]
    seconds: float


class Stopped(Exception):  # noqa: N818 - it is a request, and never reaches a user
    """Ends a thread whose work is not wanted any more."""


def convert(byte_range: ByteRange, *, folder: str, store: Store) -> Outcome:
    """Converts a range and stores its shard; of a stream, all shards from there on."""
    begun = time.monotonic()
    shards = tuple(_shards(byte_range, folder=folder, store=store))
    return Outcome(shards, time.monotonic() - begun)


def convert_together(
    ranges: Sequence[ByteRange], *, folder: str, num_threads: int
) -> Iterator[Outcome]:
    """Converts ranges in threads of this process, each of which takes the next range.

    An error of one thread ends the others at their next shard. Closing the generator, as Ctrl-C
    does, waits for none of them: what they still write is what a rerun would write.

    Yields:
      Outcomes, in no order.

    Raises:
      Exception: as the first thread raised it that failed.
    """
    waiting, stopped = deque(ranges), threading.Event()
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="convert")
    threads = [
        pool.submit(_convert_waiting, waiting, folder, stopped)
        for _ in range(min(num_threads, len(ranges)))
    ]
    try:
        for thread in as_completed(threads):
            yield from thread.result()
    except Exception:
        stopped.set()
        # The caller may begin again at once, and two of one range would only cost time.
        pool.shutdown()
        raise
    finally:
        stopped.set()
        pool.shutdown(wait=False)


def _convert_waiting(
    waiting: deque[ByteRange], folder: str, stopped: threading.Event
) -> list[Outcome]:
    """Converts what waits, until nothing does or the work is stopped."""
    outcomes = []
    with WriteBehind() as behind:

        def store(write: Write) -> None:
            if stopped.is_set():
                raise Stopped
            behind(write)

        while not stopped.is_set():
            try:
                byte_range = waiting.popleft()
            except IndexError:
                break
            outcomes.append(convert(byte_range, folder=folder, store=store))
    return outcomes


def _shards(byte_range: ByteRange, *, folder: str, store: Store) -> Iterator[ShardSummary]:
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
