"""Which notes a json + wav source holds, in which order, and where each one's wav file lies.

The order is that of examples.json, so that what is known of the notes of a part stands in one piece
of it. Wav files of which nothing is known come last, by name: they are counted, not passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from pipelines import storage
from pipelines.convert.examples_json import FILE_NAME as EXAMPLES_JSON
from pipelines.convert.examples_json import Entry, find_entries
from pipelines.convert.readahead import BLOCK_BYTES
from pipelines.convert.sources import JSON_WAV_TAR, Source, fetcher, is_wav
from pipelines.convert.tar import Member, members
from pipelines.convert.window import Window
from pipelines.errors import ConfigError

# What lies between the headers of a local archive is not read.
_HEADER_BYTES: Final = 2**12


class WavFile(NamedTuple):
    """A note's audio.

    Attributes:
      offset: of its first byte in the file that holds it.
    """

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Part:
    """Some notes in a row, which become one shard.

    Attributes:
      begin: number of the first among all of the source.
      entries: first byte in examples.json, or in the tar that holds it, of what is known of the
        notes, and the byte behind the last.
      wavs: of each note, None where it has none; then those of which nothing is known.
    """

    begin: int
    entries: tuple[int, int]
    wavs: tuple[WavFile | None, ...]

    @property
    def end(self) -> int:
        """The number behind the last."""
        return self.begin + len(self.wavs)

    @property
    def wav_bytes(self) -> int:
        """Bytes of all its wav files."""
        return sum(wav.size for wav in self.wavs if wav)


class _Contents(NamedTuple):
    """What lies where in a source; `others` are wav files whose name another one has too."""

    examples: tuple[int, int]
    wavs: dict[str, WavFile]
    others: list[WavFile]


@lru_cache(maxsize=4)
def parts_of(source: Source, *, num_notes: int) -> tuple[Part, ...]:
    """Cuts a source into parts, which takes one pass through its examples.json.

    Args:
      source: a folder or an uncompressed tar.
      num_notes: notes in a part.

    Raises:
      ConfigError: there is no examples.json, or it is not what it should be.
    """
    contents = _archive(source) if source.form == JSON_WAV_TAR else _folder(source)
    notes, parts, begin = _notes(source, contents), list[Part](), 0
    while batch := list(islice(notes, num_notes)):
        known = [entry for entry, _ in batch if entry]
        span = (known[0].begin, known[-1].end) if known else (0, 0)
        parts.append(Part(begin, span, tuple(wav for _, wav in batch)))
        begin += len(batch)
    return tuple(parts)


def examples_uri(source: Source) -> str:
    """The file that examples.json is, or lies in."""
    if source.form == JSON_WAV_TAR:
        return source.uri
    return storage.join(source.uri, EXAMPLES_JSON)


def wav_uri(source: Source, wav: WavFile) -> str:
    """The file that a note's audio is, or lies in."""
    if source.form == JSON_WAV_TAR:
        return source.uri
    return storage.join(source.uri, "audio", wav.name)


def _notes(source: Source, contents: _Contents) -> Iterator[tuple[Entry | None, WavFile | None]]:
    uri, (begin, end) = examples_uri(source), contents.examples
    blocks = (
        storage.read_range(uri, at, min(at + BLOCK_BYTES, end), checksum=True)
        for at in range(begin, end, BLOCK_BYTES)
    )
    wavs = dict(contents.wavs)
    for entry in find_entries(blocks, uri=storage.join(source.uri, EXAMPLES_JSON)):
        there = entry._replace(begin=begin + entry.begin, end=begin + entry.end)
        yield there, wavs.pop(f"{entry.name}.wav", None)
    for wav in sorted([*wavs.values(), *contents.others]):
        yield None, wav


def _folder(source: Source) -> _Contents:
    size, _ = storage.identity(examples_uri(source))
    wavs = {
        name: WavFile(name, 0, size)
        for name, size in storage.sizes(storage.join(source.uri, "audio")).items()
        if is_wav(name)
    }
    return _Contents((0, size), wavs, [])


def _members(source: Source) -> Iterator[Member]:
    if storage.local_path(source.uri) is None:
        # All of it is read: a request for each header would take longer.
        fetch = fetcher(source)
        yield from members(Window(fetch, size=source.size, block_bytes=BLOCK_BYTES))
        return
    with storage.open_seekable(source.uri) as file:

        def read(start: int, end: int) -> bytes:
            file.seek(start)
            return file.read(end - start)

        yield from members(Window(read, size=source.size, block_bytes=_HEADER_BYTES))


def _archive(source: Source) -> _Contents:
    examples, wavs, others = list[tuple[int, int]](), dict[str, WavFile](), list[WavFile]()
    for member in _members(source):
        name = storage.name(member.name)
        end = min(member.offset + member.size, source.size)
        if name == EXAMPLES_JSON:
            examples.append((member.offset, end))
        elif is_wav(name):
            if name in wavs:
                others.append(wavs[name])
            wavs[name] = WavFile(name, member.offset, end - member.offset)
    if len(examples) != 1:
        raise ConfigError(
            f"{source.uri} holds {len(examples)} files {EXAMPLES_JSON}, expected one: a tar of "
            f"NSynth holds {EXAMPLES_JSON} and audio/*.wav of one split"
        )
    return _Contents(examples[0], wavs, others)
