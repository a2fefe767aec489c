"""Progress of a conversion, read from what storage holds: the same on every engine."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from pipelines import storage
from pipelines.convert.plan import SHARDS_FOLDER, ByteRange, Plan
from pipelines.progress import OnProgress, Progress

_POLL_SEC: Final = 1.0

log = logging.getLogger(__name__)


@contextmanager
def watched(planned: Plan, missing: Sequence[ByteRange], on_progress: OnProgress) -> Iterator[None]:
    """Reports how many shards of a plan are stored while the block runs, and once at its end.

    Args:
      missing: the ranges that are converted in the block; all others are done already.
    """
    folder = storage.join(planned.folder, SHARDS_FOLDER)
    before = storage.modified(folder)
    num_ranges = sum(1 for _ in planned.ranges())
    stopped = threading.Event()
    begun = time.monotonic()

    def report(*, ended: bool = False) -> None:
        # A shard that is written again, by --force or after damage, is told by its time.
        now = storage.modified(folder)
        written = {name for name, changed in now.items() if before.get(name) != changed}
        # The first shard of a stream tells nothing of how many follow.
        done = [
            byte_range
            for byte_range in missing
            if byte_range.shard_name in written and (ended or not byte_range.source.is_stream)
        ]
        num_bytes = sum(byte_range.source_bytes for byte_range in done)
        rate = num_bytes / 1e6 / (time.monotonic() - begun)
        on_progress(
            Progress(
                f"convert {planned.sources[0].name}",
                num_ranges - len(missing) + len(done),
                num_ranges,
                f"ranges, {rate:,.0f} MB/s" if done else "ranges",
            )
        )

    def watch() -> None:
        while not stopped.wait(_POLL_SEC):
            try:
                report()
            except OSError as err:
                # Showing progress is no reason to fail; the work has retries of its own.
                log.debug("progress is not known: %s", err)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()
    report(ended=True)
