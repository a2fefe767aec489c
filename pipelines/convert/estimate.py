"""What a conversion will cost, before it runs: bytes and time, from a sample of the source."""

import time
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.convert.plan import ByteRange, Plan
from pipelines.convert.shards import convert_bytes, encode
from pipelines.convert.tfrecord import Window
from pipelines.errors import ConfigError

SAMPLE_BYTES: Final = 16 * 2**20
"""Source bytes converted in memory for the estimate: some sixty notes, a fraction of a second."""

# Without a sample (a source that begins with damage): what NSynth's own notes came to.
_USUAL_SHARE: Final = 0.1
_HEADROOM: Final = 1.1


@dataclass(frozen=True)
class Estimate:
    """What is expected of a conversion.

    Attributes:
      num_ranges: shards it makes.
      stored_bytes: of all shards.
      seconds: with one worker on this machine; None where the sample held no note.
    """

    num_ranges: int
    source_bytes: int
    stored_bytes: int
    seconds: float | None


def estimate(planned: Plan) -> Estimate:
    """Converts the first bytes of the first source in memory and scales what that took."""
    source = planned.sources[0]
    sample = ByteRange(0, source, 0, min(SAMPLE_BYTES, source.size))
    window = Window(lambda start, end: storage.read_range(source.uri, start, end), size=source.size)
    begun = time.perf_counter()
    converted = convert_bytes(window, sample)
    stored = len(encode(converted.table, summary=converted.summary))
    seconds = time.perf_counter() - begun
    scale = planned.source_bytes / sample.end
    has_notes = converted.summary.num_notes > 0
    return Estimate(
        num_ranges=sum(1 for _ in planned.ranges()),
        source_bytes=planned.source_bytes,
        stored_bytes=round(stored * scale if has_notes else planned.source_bytes * _USUAL_SHARE),
        seconds=seconds * scale if has_notes else None,
    )


def check_space(planned: Plan, missing_bytes: int) -> None:
    """Refuses a conversion whose shards would not fit the disk of a local root.

    Args:
      missing_bytes: of the sources, still to convert.

    Raises:
      ConfigError: too little is free.
    """
    free = storage.free_bytes(planned.folder)
    if free is None or not missing_bytes:
        return
    expected = estimate(planned)
    needed = expected.stored_bytes * missing_bytes / planned.source_bytes * _HEADROOM
    if needed > free:
        raise ConfigError(
            f"the shards of {planned.sources[0].uri} need about {needed / 1e9:.2f} GB and "
            f"{planned.folder} has {free / 1e9:.2f} GB free; choose another root or free some"
        )
