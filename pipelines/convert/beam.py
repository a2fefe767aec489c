"""The only Beam: ranges in, nothing but counters out; audio never crosses a shuffle."""

import logging
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipelines import errors
from pipelines.convert.dispatch import convert
from pipelines.convert.plan import ByteRange
from pipelines.convert.writebehind import WriteBehind
from pipelines.errors import ConfigError, PipelineError

# Importing Beam warns of Google's client libraries, which only Dataflow needs.
logging.disable(logging.WARNING)
import apache_beam as beam  # noqa: E402
from apache_beam.metrics import Metrics, MetricsFilter  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402
from apache_beam.pvalue import PCollection  # noqa: E402

logging.disable(logging.NOTSET)

RUNNERS: Final = ("local",)
"""Engines by name."""

_NAMESPACE: Final = "nsynth"
_RANGE_MSEC: Final = "range_msec"

log = logging.getLogger(__name__)


@dataclass
class ConvertRanges(beam.PTransform):
    """Converts each byte range to a shard under `folder`."""

    folder: str

    def expand(self, ranges: PCollection[ByteRange]) -> PCollection[int]:
        """Ranges in, the number of notes in each out."""
        return (
            ranges
            # A local source is one bundle: without it all ranges would go to one worker.
            | "spread" >> beam.Reshuffle()
            | "convert" >> beam.ParDo(_Convert(self.folder))
        )


def run(ranges: Sequence[ByteRange], *, folder: str, runner: str, num_workers: int) -> None:
    """Converts ranges on an engine and waits for it.

    Raises:
      PipelineError: as a worker raised it.
      ConfigError: the runner is unknown.
      OSError: the engine failed; a rerun goes on where it stopped.
    """
    options = _options(runner, num_workers=num_workers)
    # Beam's own lines are of stages and state caches, which tell the user nothing, and the
    # traceback of an error, several times, that is raised below in one sentence.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    try:
        with beam.Pipeline(options=options) as pipeline:
            _ = pipeline | "ranges" >> beam.Create(ranges) | ConvertRanges(folder)
        _log_timings(pipeline.result)
    except PipelineError:
        raise
    except RuntimeError as err:
        # A worker's error arrives as the text of its traceback.
        raise _as_raised(str(err)) from err


def _log_timings(result: Any) -> None:
    found = result.metrics().query(MetricsFilter().with_name(_RANGE_MSEC))["distributions"]
    for timing in (metric.result for metric in found if metric.result):
        log.info(
            "converted %d ranges: %.2f s each, from %.2f to %.2f s",
            *(timing.count, timing.mean / 1000, timing.min / 1000, timing.max / 1000),
        )


class _Convert(beam.DoFn):
    """Owns the thread that stores one shard while the next is made."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def start_bundle(self) -> None:
        """Starts the thread."""
        self._store = WriteBehind()

    def process(self, byte_range: ByteRange) -> Iterator[int]:
        """Converts a range and gives the number of its notes."""
        begun, num_notes = time.monotonic(), 0
        for shard in convert(byte_range, folder=self._folder, store=self._store):
            num_notes += shard.num_notes
            Metrics.counter(_NAMESPACE, "notes").inc(shard.num_notes)
            Metrics.counter(_NAMESPACE, "record_bytes").inc(shard.record_bytes)
            for reason, num in shard.quarantined.items():
                Metrics.counter(_NAMESPACE, f"quarantined_{reason}").inc(num)
        seconds = time.monotonic() - begun
        Metrics.distribution(_NAMESPACE, _RANGE_MSEC).update(round(1000 * seconds))
        yield num_notes

    def finish_bundle(self) -> None:
        """Waits until all is stored."""
        self._store.close()


def _options(runner: str, *, num_workers: int) -> PipelineOptions:
    if runner != "local":
        raise ConfigError(f"there is no runner {runner!r}; choose one of {', '.join(RUNNERS)}")
    return PipelineOptions(
        [],
        # DirectRunner would look for the binary of another engine first.
        runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner",
        direct_running_mode="multi_threading",
        direct_num_workers=num_workers,
    )


def _as_raised(text: str) -> Exception:
    for line in reversed(text.strip().splitlines()):
        match = re.search(r"pipelines\.errors\.(\w+): (.*?)(?: \[while running.*)?$", line)
        if match and issubclass(kind := getattr(errors, match[1], Exception), PipelineError):
            return kind(match[2])
    return OSError(f"the engine failed: {text.strip().splitlines()[-1]}")
