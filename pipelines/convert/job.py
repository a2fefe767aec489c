"""The conversion as one job: plan, convert what is missing, commit."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from pipelines import storage
from pipelines.convert import beam
from pipelines.convert.commit.commit import commit
from pipelines.convert.commit.manifest import Manifest, load_manifest
from pipelines.convert.shards.estimate import check_space
from pipelines.convert.shards.plan import (
    SHARDS_FOLDER,
    ByteRange,
    Parameters,
    Plan,
    plan,
    shard_uri,
)
from pipelines.convert.shards.sequential_sources import remaining_range
from pipelines.convert.shards.shard import check_shard
from pipelines.decisions import record_decision
from pipelines.engines.checks import check
from pipelines.engines.engine import LOCAL, Engine
from pipelines.errors import ConfigError, ShardError
from pipelines.parameters import MAX_QUARANTINED
from pipelines.progress import OnProgress, Progress, ignore
from pipelines.text import counted, listed

_READERS: Final = 4


def convert(
    sources: Sequence[str],
    *,
    root: str,
    parameters: Parameters | None = None,
    engine: Engine = LOCAL,
    num_workers: int | None = None,
    max_quarantined: float = MAX_QUARANTINED,
    force: bool = False,
    on_progress: OnProgress = ignore,
) -> tuple[str, Manifest]:
    """Convert NSynth's files, of either form, to Parquet shards under `root`.

    Running it again converts only the ranges that have no intact shard, and none where the manifest
    is there.

    Args:
      sources: URIs of TFRecord files, or of folders and archives of examples.json and wav files.
      root: the location that holds `notes/`.
      engine: who converts.
      num_workers: ranges converted at a time; by default all processors, or the engine's own.
      max_quarantined: share of damaged records above which nothing is committed.
      force: convert all ranges again.

    Returns:
      The URI of the manifest, and the manifest.

    Raises:
      PipelineError: see `pipelines.errors`.
    """
    if not 0 <= max_quarantined <= 1:
        raise ConfigError(f"max_quarantined must be from 0 to 1, got {max_quarantined}")
    if engine.template:
        raise ConfigError(
            "a template does not run, and a data set needs what it would make: write it with "
            "nsynth convert --template, and leave template_location out here"
        )
    beam.check_options(engine)
    planned = plan(sources, root=root, parameters=parameters or Parameters())
    name = listed(source.name for source in planned.sources)
    if not force and storage.exists(planned.manifest_uri):
        committed = load_manifest(planned.manifest_uri)
        why = f"the source is unchanged: {planned.manifest_uri} is committed; nothing to convert"
        record_decision(log, "convert", name, "reused", why)
        return planned.manifest_uri, committed
    check(engine, [*(source.uri for source in planned.sources), planned.folder])
    storage.check_writable(planned.folder)
    with storage.leased(planned.folder, "convert") as lease:
        storage.wait_for(planned.folder, "clean", own=lease)
        manifest = _convert_missing(
            planned,
            name,
            engine=engine,
            num_workers=num_workers,
            max_quarantined=max_quarantined,
            force=force,
            on_progress=on_progress,
        )
    return planned.manifest_uri, manifest


def _convert_missing(
    planned: Plan,
    name: str,
    *,
    engine: Engine,
    num_workers: int | None,
    max_quarantined: float,
    force: bool,
    on_progress: OnProgress,
) -> Manifest:
    """Convert the ranges that have no intact shard, and commit; see `convert`."""
    ranges = planned.ranges()
    missing = ranges if force else _without_shard(planned, ranges)
    num_ranges = counted(len(ranges), "range")
    why = f"converting {len(missing):,} of {num_ranges} of {name} to {planned.folder}"
    is_begun = len(missing) < len(ranges)
    reason = "; the others are stored" if is_begun else "; asked to do so again" if force else ""
    record_decision(log, "convert", name, "resumed" if is_begun else "ran", why + reason)
    if missing:
        check_space(planned, sum(byte_range.source_bytes for byte_range in missing))
        with report_progress(planned, missing, on_progress):
            beam.run(
                missing,
                folder=planned.folder,
                engine=engine,
                num_workers=num_workers,
            )
    return commit(planned, max_quarantined=max_quarantined, force=force)


def write_template(
    sources: Sequence[str],
    *,
    root: str,
    engine: Engine,
    parameters: Parameters | None = None,
    force: bool = False,
) -> tuple[Plan, int]:
    """Write a conversion as a template, to be started later where the engine runs.

    Once it has run, `convert` finds every shard and has only the manifest left to write.

    Returns:
      The plan, and how many of its ranges the template converts.

    Raises:
      PipelineError: see `pipelines.errors`.
    """
    beam.check_options(engine)
    planned = plan(sources, root=root, parameters=parameters or Parameters())
    check(engine, [*(source.uri for source in planned.sources), planned.folder])
    storage.check_writable(planned.folder)
    ranges = planned.ranges()
    missing = ranges if force else _without_shard(planned, ranges)
    if missing:
        beam.run(missing, folder=planned.folder, engine=engine)
    return planned, len(missing)


def _without_shard(planned: Plan, ranges: Sequence[ByteRange]) -> list[ByteRange]:
    """Return the ranges without an intact shard; of a stream all after its intact shards."""
    stored = storage.sizes(storage.join(planned.folder, SHARDS_FOLDER))
    files = [byte_range for byte_range in ranges if not byte_range.source.is_stream]
    rests = [remaining_range(r, folder=planned.folder) for r in ranges if r.source.is_stream]
    present = [byte_range for byte_range in files if byte_range.shard_name in stored]
    with ThreadPoolExecutor(_READERS) as pool:
        intact = pool.map(lambda r: _is_intact(r, planned.folder), present)
        done = {r.shard_name for r, is_intact in zip(present, intact, strict=True) if is_intact}
    return [*filter(None, rests), *(r for r in files if r.shard_name not in done)]


def _is_intact(byte_range: ByteRange, folder: str) -> bool:
    try:
        uri = shard_uri(folder, byte_range.shard_name)
        check_shard(uri, num_samples=byte_range.num_samples)
    except ShardError as err:
        log.warning("converting its range again: %s", err)
        return False
    return True


_POLL_SEC: Final = 1.0

log = logging.getLogger(__name__)


@contextmanager
def report_progress(
    planned: Plan, missing: Sequence[ByteRange], on_progress: OnProgress
) -> Iterator[None]:
    """Report how many shards of a plan are stored while the block runs, and once at its end.

    Args:
      missing: the ranges that are converted in the block; all others are done already.
    """
    folder = storage.join(planned.folder, SHARDS_FOLDER)
    before = storage.modified(folder)
    num_ranges = len(planned.ranges())
    stopped = threading.Event()
    begun = time.monotonic()

    def report(*, ended: bool = False) -> None:
        # A shard that is written again, by --force or after damage, is recognised by its time.
        now = storage.modified(folder)
        written = {name for name, changed in now.items() if before.get(name) != changed}
        # The first shard of a stream does not show how many follow.
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
                # Progress that cannot be shown does not fail the job; the work has its own retries.
                log.debug("progress is not known: %s", err)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()
    report(ended=True)
