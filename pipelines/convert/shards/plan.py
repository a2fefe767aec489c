"""The plan of a conversion: its sources, parameters, byte ranges and their names."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Final

from pipelines import storage
from pipelines.convert.formats.tfrecord import Position
from pipelines.convert.reading.jsonwav import Part, split_parts
from pipelines.convert.reading.sources import GZIP, TFRECORD, Source, find_sources
from pipelines.errors import ConfigError
from pipelines.notes import DATASET_VERSION, NUM_SAMPLES, NUM_SOURCE_SAMPLES
from pipelines.parameters import MIB, MIN_SAMPLES, RANGE_MIB, ConversionRequest
from pipelines.records import digest

RANGE_BYTES: Final = RANGE_MIB * MIB

# The folder of the shards, with nothing else in it; data sets of version 1 had none.
SHARDS_FOLDER: Final = "data"

# About the size of a note in a TFRecord, so that shards of either form have a similar size.
_NOTE_BYTES: Final = 2**18


@dataclass(frozen=True)
class Parameters:
    """The parameters that determine the content of the shards.

    Attributes:
      range_bytes: bytes of source that one shard covers.
      num_samples: samples a note keeps.
    """

    range_bytes: int = RANGE_BYTES
    num_samples: int = NUM_SAMPLES

    def __post_init__(self) -> None:
        if self.range_bytes < 1:
            raise ConfigError(f"range_bytes must be at least 1, got {self.range_bytes}")
        if not MIN_SAMPLES <= self.num_samples <= NUM_SOURCE_SAMPLES:
            raise ConfigError(
                f"num_samples must be from {MIN_SAMPLES} to {NUM_SOURCE_SAMPLES}, "
                f"got {self.num_samples}"
            )

    @classmethod
    def from_request(cls, request: ConversionRequest) -> "Parameters":
        """Return the parameters that a command or a form chose."""
        return cls(range_bytes=request.range_mib * MIB, num_samples=request.samples)

    @property
    def range_notes(self) -> int:
        """Return the number of notes of a json + wav source that one shard covers."""
        return max(1, self.range_bytes // _NOTE_BYTES)


@dataclass(frozen=True)
class ByteRange:
    """The part of a source that one shard covers: the records whose header begins in it.

    That of a stream is where it begins, or goes on: as many shards follow, each of that length, as
    it takes to its end.

    Attributes:
      file: the number of the source.
      begin: first byte, of the decompressed file, or number of the first note of a json
        + wav source; names the shard.
      end: the byte or number after the last.
      entry: position of the reader of a stream that continues.
      part: place of the notes of a json + wav source that is not a stream.
      num_samples: samples a note keeps.
    """

    file: int
    source: Source
    begin: int
    end: int
    entry: Position | None = None
    part: Part | None = None
    num_samples: int = NUM_SAMPLES

    @property
    def shard_name(self) -> str:
        """Return the name of the shard, the same at each attempt."""
        return f"part-{self.file:05d}-{self.begin:015d}.parquet"

    @property
    def source_bytes(self) -> int:
        """Return the number of stored bytes of the source that are read for it."""
        if self.source.is_stream:
            return self.source.size
        return self.part.wav_bytes if self.part else self.end - self.begin


@dataclass(frozen=True)
class Plan:
    """A conversion before it runs.

    Attributes:
      folder: where the shards and the manifest go.
    """

    dataset_id: str
    folder: str
    sources: tuple[Source, ...]
    parameters: Parameters

    @property
    def source_bytes(self) -> int:
        """Return the number of bytes in all sources."""
        return sum(source.size for source in self.sources)

    @property
    def manifest_uri(self) -> str:
        """Return the URI of the manifest."""
        return storage.join(self.folder, "manifest.json")

    def ranges(self) -> tuple[ByteRange, ...]:
        """Return the ranges, in the order of the sources' bytes or notes.

        Raises:
          ConfigError: a source's examples.json is missing or malformed.
        """
        return self._ranges

    # Listing the notes of a json + wav source takes a pass through its examples.json.
    @cached_property
    def _ranges(self) -> tuple[ByteRange, ...]:
        return tuple(self._make_ranges())

    def _make_ranges(self) -> Iterator[ByteRange]:
        num_bytes, num_notes = self.parameters.range_bytes, self.parameters.range_notes
        new = partial(ByteRange, num_samples=self.parameters.num_samples)
        for file, source in enumerate(self.sources):
            if source.is_stream:
                end = num_bytes if source.form == GZIP else num_notes
                yield new(file, source, 0, end)
            elif source.form == TFRECORD:
                for begin in range(0, source.size, num_bytes):
                    yield new(file, source, begin, min(begin + num_bytes, source.size))
            else:
                for part in split_parts(source, num_notes=num_notes):
                    yield new(file, source, part.begin, part.end, part=part)


def shard_uri(folder: str, name: str) -> str:
    """Return the location of a shard in the folder of a data set."""
    return storage.join(folder, SHARDS_FOLDER, name)


def plan(sources: Sequence[str], *, root: str, parameters: Parameters) -> Plan:
    """Plan a conversion.

    Args:
      sources: URIs of files and folders; a name with `*` matches several.
      root: the location that holds `notes/`, `runs/` and `registry/`.

    Raises:
      ConfigError: a source is missing, empty, or of an unknown form.
    """
    found = find_sources(sources)
    root = storage.absolute(root)
    dataset_id = digest(
        {
            "dataset_version": DATASET_VERSION,
            "parameters": asdict(parameters),
            "sources": [[source.uri, source.size, source.tag] for source in found],
        }
    )[:16]
    return Plan(dataset_id, storage.join(root, "notes", dataset_id), found, parameters)
