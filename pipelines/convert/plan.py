"""What a conversion will do: its sources, its parameters, its byte ranges and their names."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pipelines import storage
from pipelines.errors import ConfigError
from pipelines.notes import DATASET_VERSION, NUM_SAMPLES

RANGE_BYTES: Final = 128 * 2**20


@dataclass(frozen=True)
class Source:
    """One file to convert, as it was when the conversion was planned.

    Attributes:
      name: what the notes call it; the same wherever the file lies.
      tag: what changes with the content: an etag, or a time of change.
    """

    name: str
    uri: str
    size: int
    tag: str


@dataclass(frozen=True)
class Parameters:
    """What decides the content of the shards, whoever makes them.

    Attributes:
      range_bytes: bytes of source that one shard covers.
      num_samples: samples a note keeps.
    """

    range_bytes: int = RANGE_BYTES
    num_samples: int = NUM_SAMPLES

    def __post_init__(self) -> None:
        if self.range_bytes < 1:
            raise ConfigError(f"range_bytes must be at least 1, got {self.range_bytes}")
        if self.num_samples != NUM_SAMPLES:
            raise ConfigError(f"num_samples must be {NUM_SAMPLES}, got {self.num_samples}")


@dataclass(frozen=True)
class ByteRange:
    """The part of a source that one shard covers: the records whose header begins in it.

    Attributes:
      file: the number of the source.
      begin: first byte; names the shard.
      end: the byte behind the last.
    """

    file: int
    source: Source
    begin: int
    end: int

    @property
    def shard_name(self) -> str:
        """The name of the shard, the same at each attempt."""
        return f"part-{self.file:05d}-{self.begin:015d}.parquet"


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
        """Bytes in all sources."""
        return sum(source.size for source in self.sources)

    @property
    def manifest_uri(self) -> str:
        """Where the manifest goes."""
        return storage.join(self.folder, "manifest.json")

    def ranges(self) -> Iterator[ByteRange]:
        """The byte ranges, in the order of the sources' bytes."""
        for file, source in enumerate(self.sources):
            for begin in range(0, source.size, self.parameters.range_bytes):
                end = min(begin + self.parameters.range_bytes, source.size)
                yield ByteRange(file, source, begin, end)


def plan(sources: Sequence[str], *, root: str, parameters: Parameters) -> Plan:
    """Plans the conversion of TFRecord files.

    Args:
      sources: URIs; a name with `*` stands for all that match.
      root: the location that holds `notes/`, `runs/` and `registry/`.

    Raises:
      ConfigError: a source is missing or empty.
    """
    found = _identified([storage.absolute(uri) for source in sources for uri in _expand(source)])
    root = storage.absolute(root)
    dataset_id = digest(
        {
            "dataset_version": DATASET_VERSION,
            "parameters": asdict(parameters),
            "sources": [[source.uri, source.size, source.tag] for source in found],
        }
    )[:16]
    return Plan(dataset_id, storage.join(root, "notes", dataset_id), found, parameters)


def digest(content: Any) -> str:
    """SHA-256 of a value's canonical JSON, in hexadecimal."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _expand(source: str) -> list[str]:
    if "*" not in source:
        return [source]
    found = storage.glob(source)
    if not found:
        raise ConfigError(f"no file matches {source}; check the path")
    return found


def _identified(uris: Iterable[str]) -> tuple[Source, ...]:
    if not (uris := list(uris)):
        raise ConfigError("there is nothing to convert; name at least one TFRecord file")
    sources = []
    for uri, name in zip(uris, _short_names(uris), strict=True):
        size, tag = storage.identity(uri)
        if size == 0:
            raise ConfigError(f"{uri} is empty; expected a TFRecord file")
        sources.append(Source(name, uri, size, tag))
    return tuple(sources)


def _short_names(uris: Sequence[str]) -> list[str]:
    """The shortest ends of the paths that tell them apart; equal on every machine for one file."""
    for uri in uris:
        if uris.count(uri) > 1:
            raise ConfigError(f"{uri} is named twice; name each source once")
    depth = 1
    while len(set(names := ["/".join(uri.split("/")[-depth:]) for uri in uris])) < len(uris):
        depth += 1
    return names
