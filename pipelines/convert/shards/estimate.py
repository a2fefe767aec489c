"""Estimate bytes and time of a conversion from a sample of the source."""

import time
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from pipelines import storage
from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.tfrecord import Position
from pipelines.convert.reading.archives import RecordStream
from pipelines.convert.reading.jsonwav import read_part
from pipelines.convert.reading.sources import (
    GZIP,
    JSON_WAV,
    JSON_WAV_TAR,
    JSON_WAV_TAR_GZ,
    TFRECORD,
    fetcher,
)
from pipelines.convert.shards.plan import ByteRange, Plan
from pipelines.convert.shards.shard import Converted, add_summary, build_shard, convert_bytes
from pipelines.errors import ConfigError
from pipelines.notes import NUM_SAMPLES
from pipelines.parquet import encode

# Source bytes converted in memory for the estimate: some sixty notes, a fraction of a second.
SAMPLE_BYTES: Final = 16 * 2**20

_SAMPLE_NOTES: Final = 64
_SAMPLE_BLOCK_BYTES: Final = 2**20

# Without a sample (a source that begins with damage, an archive that may have examples.json at its
# end): what NSynth's own notes came to, in bytes of shards for a byte of source, at the default
# number of samples.
_USUAL_SHARES: Final = MappingProxyType(
    {TFRECORD: 0.1, GZIP: 0.2, JSON_WAV: 0.2, JSON_WAV_TAR: 0.2, JSON_WAV_TAR_GZ: 0.3}
)
_HEADROOM: Final = 1.1


@dataclass(frozen=True)
class Estimate:
    """The expected cost of a conversion.

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
    """Convert the first bytes of the first source in memory and scale bytes and time."""
    ranges = planned.ranges()
    begun = time.perf_counter()
    converted, sample_bytes = _sample(ranges[0])
    stored = len(encode(add_summary(converted.table, converted.summary))) if converted else 0
    seconds = time.perf_counter() - begun
    has_notes = converted is not None and converted.summary.num_notes > 0
    if not has_notes:
        usual = sum(source.size * _USUAL_SHARES[source.form] for source in planned.sources)
        usual *= planned.parameters.num_samples / NUM_SAMPLES
        return Estimate(len(ranges), planned.source_bytes, round(usual), None)
    scale = planned.source_bytes / sample_bytes
    return Estimate(len(ranges), planned.source_bytes, round(stored * scale), seconds * scale)


def _sample(first: ByteRange) -> tuple[Converted | None, int]:
    """Convert the beginning of a range; return also how many bytes of its source were read."""
    source = first.source
    if first.part is not None:
        part = replace(first.part, wavs=first.part.wavs[:_SAMPLE_NOTES])
        entry = Position(first.begin, synced=True)
        content = read_part(source, part, num_samples=first.num_samples)
        return build_shard(content, first, entry=entry), part.wav_bytes
    sample = replace(first, end=min(first.end, SAMPLE_BYTES))
    if source.form == TFRECORD:
        return convert_bytes(Window(fetcher(source), size=source.size), sample), sample.end
    if source.form == GZIP:
        stream = RecordStream(source)
        window = Window(stream.read, size=None, block_bytes=_SAMPLE_BLOCK_BYTES)
        return convert_bytes(window, sample), stream.num_fetched
    return None, 0


def check_space(planned: Plan, missing_bytes: int) -> None:
    """Refuse a conversion whose shards would not fit the disk of a local root.

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
