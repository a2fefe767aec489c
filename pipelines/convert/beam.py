"""The conversion as a Beam pipeline: ranges in, counters out.

The only Beam module. Audio never crosses a shuffle: each range is read, converted and stored
where it is. The local runner converts in threads of this process.
"""

import importlib
import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

import grpc

from pipelines import loopback, storage
from pipelines.convert.shards.plan import ByteRange
from pipelines.convert.shards.sequential_sources import convert_pieces
from pipelines.convert.shards.shard import ShardSummary, encode_shard, put_objects
from pipelines.engines import submission
from pipelines.engines.engine import LOCAL, Engine
from pipelines.engines.remote_workers import (
    WARNING_PREFIX,
    WARNINGS,
    grpc_message,
    one_line,
    parse_worker_error,
    process_identity,
)
from pipelines.engines.submission import keep_interrupts, silence_beam
from pipelines.errors import ConfigError, PipelineError
from pipelines.text import counted, listed

# Importing Beam warns of Google's client libraries, which only Dataflow needs.
logging.disable(logging.WARNING)
import apache_beam as beam  # noqa: E402
from apache_beam.metrics import Metrics, MetricsFilter  # noqa: E402
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions  # noqa: E402
from apache_beam.pvalue import PCollection  # noqa: E402
from apache_beam.runners.runner import PipelineState  # noqa: E402

from pipelines.engines import pool  # noqa: E402 - it imports Beam too

logging.disable(logging.NOTSET)

_RUNNERS: Final = {
    # DirectRunner would look for the binary of another engine first.
    "local": "apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "portable": "PortableRunner",
    "prism": "PrismRunner",
    "flink": "FlinkRunner",
    "dataflow": "DataflowRunner",
}
# Each engine's option for the number of concurrent ranges, if it has one.
_NUM_WORKERS: Final = {"flink": "parallelism", "dataflow": "max_num_workers"}

_NAMESPACE: Final = "nsynth"
_RANGE_MSEC: Final = "range_msec"

log = logging.getLogger(__name__)


@dataclass
class ConvertRanges(beam.PTransform):
    """Converts each byte range to a shard under `folder`.

    Attributes:
      settings: how the storage is reached, for workers that know nothing of it.
    """

    folder: str
    settings: Mapping[str, str]

    def expand(self, ranges: PCollection[ByteRange]) -> PCollection[int]:
        """Convert ranges to the number of notes in each."""
        return (
            ranges
            # A local source is one bundle: without it all ranges would go to one worker.
            | "spread" >> beam.Reshuffle()
            | "convert" >> beam.ParDo(_Convert(self.folder, self.settings))
        )


def check_options(engine: Engine) -> None:
    """Refuse an option that nothing reads; a job server may have options that are unknown here.

    Raises:
      ConfigError: Beam does not know an option, or Dataflow's packages are missing.
    """
    if engine.name == "dataflow":
        try:
            importlib.import_module("google.cloud.storage")
        except ImportError as err:
            raise ConfigError(
                "the runner dataflow needs more packages: pip install 'nsynth-flows[dataflow]'"
            ) from err
    if engine.name in ("flink", "portable"):
        return
    given = PipelineOptions(engine.flags())
    unknown = given.get_all_options(retain_unknown_options=True).keys() - given.get_all_options()
    if unknown:
        raise ConfigError(
            f"Beam has no option {listed(sorted(unknown))}; the runner {engine.name} takes "
            "those of apache_beam.options.pipeline_options"
        )


def run(
    ranges: Sequence[ByteRange],
    *,
    folder: str,
    engine: Engine = LOCAL,
    num_workers: int | None = None,
) -> None:
    """Convert ranges on an engine and wait for it; a template is only written.

    Args:
      num_workers: ranges converted at a time; the engine's own number by default.

    Raises:
      PipelineError: as a worker raised it.
      ConfigError: the engine's own packages are missing, or it does not take an option.
      OSError: the engine failed; a rerun goes on where it stopped.
    """
    silence_beam()
    loopback.bypass_proxies()
    with _with_workers(engine) as served:
        pipeline = build(ranges, folder=folder, engine=served, num_workers=num_workers)
        try:
            with keep_interrupts():
                result = pipeline.run()
        except (PipelineError, OSError):
            raise
        except grpc.RpcError as err:
            raise OSError(f"{engine.name} cannot be reached: {grpc_message(err)}") from err
        except grpc.FutureTimeoutError as err:
            raise OSError(f"{engine.name} cannot be reached: it did not answer in time") from err
        except Exception as err:
            # A worker of this process raises what it met, whatever that is; others send its text.
            raise parse_worker_error(_text(err), engine) from err
        if not engine.template:
            _wait(result, engine, job_name=_job_name(pipeline))
            _log_counts(result, num_ranges=len(ranges))


@contextmanager
def _with_workers(engine: Engine) -> Iterator[Engine]:
    """Serve the workers of an engine that dials this process; yield the engine with their address.

    Beam's own LOOPBACK does the same on all interfaces.
    """
    if not engine.is_loopback:
        yield engine
        return
    with pool.threads() as address:
        dialled = {"environment_type": "EXTERNAL", "environment_config": address}
        yield replace(engine, options={**engine.options, **dialled})


def build(
    ranges: Sequence[ByteRange],
    *,
    folder: str,
    engine: Engine = LOCAL,
    num_workers: int | None = None,
) -> beam.Pipeline:
    """Build the pipeline that `run` runs.

    It is the same on every engine but for its options. The local runner gets all ranges as one
    element: with one worker it opens no port, and converts in threads of our own.
    """
    pipeline = _pipeline(engine, num_workers=num_workers)
    if engine.name == "local":
        together = _ConvertTogether(folder, num_workers or os.cpu_count() or 1)
        _ = pipeline | "ranges" >> beam.Create([tuple(ranges)]) | "convert" >> beam.ParDo(together)
    else:
        _ = (
            pipeline
            | "ranges" >> beam.Create(ranges)
            | ConvertRanges(folder, storage.settings_to_forward())
        )
    return pipeline


def _text(err: Exception) -> str:
    """Return the text of an engine's error; for unusual kinds as the last line of a traceback."""
    if isinstance(err, RuntimeError | ValueError):
        return str(err)
    return f"{type(err).__name__}: {err}"


def _wait(result: Any, engine: Engine, *, job_name: str) -> None:
    """Wait for a job's end, and cancel it if this process is interrupted."""
    try:
        state = result.wait_until_finish()
    except RuntimeError as err:
        raise parse_worker_error(str(err), engine) from err
    except grpc.RpcError as err:
        raise OSError(f"{engine.name} was lost while it worked: {grpc_message(err)}") from err
    except BaseException:
        # The engine knows nothing of a signal that came here.
        with suppress(Exception):
            result.cancel()
        if engine.is_on_flink_cluster:
            submission.cancel_job(engine.text("flink_master"), job_name)
        raise
    if state not in (None, PipelineState.DONE):
        raise OSError(f"the job on {engine.name} ended as {state.lower()}")


def _log_counts(result: Any, *, num_ranges: int) -> None:
    """Log the counters of all workers, and how many ranges they are of if not of all.

    Prism loses the counters of one range when two end before it knows the counters' names. Nothing
    depends on them: the manifest is made from what the shards themselves say.
    """
    try:
        found = result.metrics().query(MetricsFilter().with_namespace(_NAMESPACE))
    except (NotImplementedError, grpc.RpcError):
        return
    num_counted = 0
    for timing in (m.result for m in found["distributions"] if m.key.metric.name == _RANGE_MSEC):
        if timing:
            num_counted += timing.count
            log.debug(
                "converted %s: %.2f s each, from %.2f to %.2f s",
                counted(timing.count, "range"),
                *(timing.mean / 1000, timing.min / 1000, timing.max / 1000),
            )
    counts = {m.key.metric.name: m.result for m in found["counters"] if m.result}
    for said in [name for name in counts if name.startswith(WARNING_PREFIX)]:
        times = counts.pop(said)
        log.warning(
            "a worker: %s%s", said.removeprefix(WARNING_PREFIX), f" ({times}x)" * (times > 1)
        )
    if counts:
        log.debug(
            "counted by the workers%s: %s",
            f", of {num_counted} of {num_ranges} ranges" * (num_counted < num_ranges),
            ", ".join(f"{name} {num:,}" for name, num in sorted(counts.items())),
        )


class BackgroundWriter:
    """Writes in a thread of its own, one write at a time and in order.

    A write that failed fails the next call, or `close`: nothing counts as stored before that.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="background-writer")
        self._pending: Future[None] | None = None

    def submit(self, write: Callable[[], None]) -> None:
        """Start a write once the write before it is done.

        Raises:
          Exception: as the write before it raised it.
        """
        self._wait()
        self._pending = self._pool.submit(write)

    def close(self) -> None:
        """Wait for the last write, and end the thread.

        Raises:
          Exception: as the last write raised it.
        """
        try:
            self._wait()
        finally:
            self._pool.shutdown()

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


class Outcome(NamedTuple):
    """A converted range.

    Attributes:
      shards: one; for a stream, all from the range on.
      seconds: how long it took; the last write may still be running.
    """

    shards: list[ShardSummary]
    seconds: float


def convert_together(
    ranges: Sequence[ByteRange], *, folder: str, num_threads: int
) -> Iterator[Outcome]:
    """Convert ranges in threads of this process, each of which takes the next range.

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
        # The caller may begin again at once, and two threads with one range would only cost time.
        pool.shutdown()
        raise
    finally:
        stopped.set()
        pool.shutdown(wait=False)


def _convert_waiting(
    waiting: deque[ByteRange], folder: str, stopped: threading.Event
) -> list[Outcome]:
    """Convert waiting ranges until there are none or the work is stopped."""
    outcomes = []
    with closing(BackgroundWriter()) as writer:
        while not stopped.is_set():
            try:
                byte_range = waiting.popleft()
            except IndexError:
                break
            outcomes.append(_convert(byte_range, folder, writer, stopped))
    return outcomes


def _convert(
    byte_range: ByteRange,
    folder: str,
    writer: BackgroundWriter,
    stopped: threading.Event | None = None,
) -> Outcome:
    """Convert a range and store its shard; for a stream, all shards from there on."""
    begun, shards = time.monotonic(), list[ShardSummary]()
    for converted in convert_pieces(byte_range):
        objects = encode_shard(converted, folder=folder)
        # An outcome that is cut short here is never looked at.
        if stopped and stopped.is_set():
            break
        writer.submit(partial(put_objects, objects))
        shards.append(converted.summary)
    return Outcome(shards, time.monotonic() - begun)


def _count_warnings() -> None:
    for line in WARNINGS.take():
        Metrics.counter(_NAMESPACE, line).inc()


class _Convert(beam.DoFn):
    """Owns the thread that stores one shard while the next is made."""

    def __init__(self, folder: str, settings: Mapping[str, str]) -> None:
        super().__init__()
        self._folder = folder
        self._settings = settings
        self._submitter = process_identity()

    def setup(self) -> None:
        """Apply the submitter's storage settings in a worker process.

        Finds the storage, before a range is begun that could not be stored.
        """
        if process_identity() == self._submitter:
            return
        storage.apply_forwarded(self._settings)
        storage.check_visible(self._folder)
        logging.getLogger("pipelines").addHandler(WARNINGS)

    def start_bundle(self) -> None:
        """Start the writer's thread."""
        self._writer = BackgroundWriter()

    def process(self, byte_range: ByteRange) -> Iterator[int]:
        """Convert a range and yield the number of its notes."""
        num_notes = _counted(_convert(byte_range, self._folder, self._writer))
        _count_warnings()
        yield num_notes

    def finish_bundle(self) -> None:
        """Wait until all shards are stored."""
        self._writer.close()
        _count_warnings()


class _ConvertTogether(beam.DoFn):
    """Converts ranges in threads of the submitter's own process."""

    def __init__(self, folder: str, num_threads: int) -> None:
        super().__init__()
        self._folder = folder
        self._num_threads = num_threads

    def process(self, ranges: Sequence[ByteRange]) -> Iterator[int]:
        """Convert ranges and yield the number of notes of each, in no order."""
        try:
            for outcome in convert_together(
                ranges, folder=self._folder, num_threads=self._num_threads
            ):
                yield _counted(outcome)
        except BaseException as err:
            # Beam makes another error of one that it has not seen, Ctrl-C included.
            err._tagged_with_step = True  # type: ignore[attr-defined]
            raise


def _counted(outcome: Outcome) -> int:
    """Add a range to the counters of the worker; return the number of its notes."""
    for shard in outcome.shards:
        Metrics.counter(_NAMESPACE, "notes").inc(shard.num_notes)
        Metrics.counter(_NAMESPACE, "record_bytes").inc(shard.record_bytes)
        for reason, num in shard.quarantined.items():
            Metrics.counter(_NAMESPACE, f"quarantined_{reason}").inc(num)
    Metrics.distribution(_NAMESPACE, _RANGE_MSEC).update(round(1000 * outcome.seconds))
    return sum(shard.num_notes for shard in outcome.shards)


def _pipeline(engine: Engine, *, num_workers: int | None) -> beam.Pipeline:
    """Return an empty pipeline for an engine."""
    # Workers import this package; Dataflow would have them unpickle the submitter's own module.
    options: dict[str, Any] = {"runner": _RUNNERS[engine.name], "save_main_session": False}
    if engine.name == "local":
        # In memory no worker is dialled.
        options |= {"direct_running_mode": "in_memory", "direct_num_workers": 1}
    else:
        # By which it is found among the others of a cluster.
        options["job_name"] = f"nsynth-convert-{secrets.token_hex(4)}"
    if num_workers and (option := _NUM_WORKERS.get(engine.name)):
        options[option] = num_workers
    try:
        return beam.Pipeline(options=PipelineOptions(engine.flags(), **options))
    except (SystemExit, ValueError) as err:
        raise ConfigError(
            f"Beam does not take these options of {engine.name}: {one_line(str(err))}"
        ) from err


def _job_name(pipeline: beam.Pipeline) -> str:
    return str(pipeline.options.view_as(GoogleCloudOptions).job_name)
