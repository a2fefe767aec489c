"""The only Beam: ranges in, nothing but counters out; audio never crosses a shuffle."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipelines import errors
from pipelines.convert.dispatch import convert
from pipelines.convert.plan import ByteRange
from pipelines.errors import ConfigError, PipelineError

# Importing Beam warns of Google's client libraries, which only Dataflow needs.
logging.disable(logging.WARNING)
import apache_beam as beam  # noqa: E402
from apache_beam.metrics import Metrics  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402
from apache_beam.pvalue import PCollection  # noqa: E402

logging.disable(logging.NOTSET)

RUNNERS: Final = ("local",)
"""Engines by name."""

_NAMESPACE: Final = "nsynth"


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
            | "convert" >> beam.Map(_convert, folder=self.folder)
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
    except PipelineError:
        raise
    except RuntimeError as err:
        # A worker's error arrives as the text of its traceback.
        raise _as_raised(str(err)) from err


def _convert(byte_range: ByteRange, *, folder: str) -> int:
    num_notes = 0
    for shard in convert(byte_range, folder=folder):
        num_notes += shard.num_notes
        Metrics.counter(_NAMESPACE, "notes").inc(shard.num_notes)
        Metrics.counter(_NAMESPACE, "record_bytes").inc(shard.record_bytes)
        for reason, num in shard.quarantined.items():
            Metrics.counter(_NAMESPACE, f"quarantined_{reason}").inc(num)
    return num_notes


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
