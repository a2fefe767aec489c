"""Which notes a json + wav source holds, in which order, and where each one's wav file is.

One rule for a folder, a tar and a compressed tar: an archive holds what the folder that it unpacks
to holds. A note is an entry of examples.json and the wav file of its name in `audio` beside it. Of
entries of one name the first counts; of wav files of one name the last in the archive, which is the
one that is there once it is unpacked.

The order is that of examples.json, so that what is known of the notes of a part is in one piece
of it. Wav files of which nothing is known come last, by name: they are counted, not passed over.
"""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from pipelines import storage
from pipelines.convert.examples_json import FILE_NAME as EXAMPLES_JSON
from pipelines.convert.examples_json import MAX_NOTES, Entry, find_entries
from pipelines.convert.readahead import BLOCK_BYTES
from pipelines.convert.sources import (
    JSON_WAV,
    JSON_WAV_TAR,
    Source,
    both_forms,
    content_of,
    fetcher,
    is_wav,
    num_examples_json,
)
from pipelines.convert.tar import Member, members
from pipelines.convert.window import Window
from pipelines.errors import ConfigError

# What lies between the headers of a local archive is not read.
_HEADER_BYTES: Final = 2**12


class WavFile(NamedTuple):
    """A note's audio.

    Attributes:
      name: in the folder of the notes' audio; the whole path of one elsewhere in an archive.
      offset: of its first byte in the file that holds it.
    """

    name: str
    offset: int
    size: int


Pair = tuple[Entry | None, WavFile | None]
"""A note; or what there is of one, either an entry or a wav file."""


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


class Contents(NamedTuple):
    """What is where in a source.

    Attributes:
      examples: first byte of examples.json in the file that holds it, and the byte after its last.
      wavs: by the name of their note.
      others: wav files that are of no note, whatever examples.json says.
    """

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
      ConfigError: there is no examples.json, it is not what it should be, or there is no note.
    """
    contents = _archive(source) if source.form == JSON_WAV_TAR else _folder(source)
    notes, parts, begin = iter(_notes(source, contents)), list[Part](), 0
    while batch := list(islice(notes, num_notes)):
        known = [entry for entry, _ in batch if entry]
        span = (known[0].begin, known[-1].end) if known else (0, 0)
        parts.append(Part(begin, span, tuple(wav for _, wav in batch)))
        begin += len(batch)
    if not parts:
        raise no_note(source.uri)
    return tuple(parts)


def archive_contents(found: Iterable[Member], *, uri: str) -> Contents:
    """Sort the members of an archive by what they are.

    Args:
      found: all of its members; each is done with before the next is taken.
      uri: the archive's, for errors.

    Raises:
      ConfigError: it holds the other form too, another number of examples.json than one, more wav
        files than a source may have, or one of them not as a plain file.
    """
    examples, folders, num = list[Member](), dict[str, list[WavFile]](), 0
    for member in found:
        form = content_of(member, uri=uri)
        if form is None:
            continue
        if form != JSON_WAV:
            raise both_forms(uri)
        folder, name = posixpath.split(posixpath.normpath(member.name))
        if name == EXAMPLES_JSON:
            examples.append(member)
            continue
        folders.setdefault(folder, []).append(WavFile(name, member.offset, member.size))
        num += 1
        if num > MAX_NOTES:
            raise ConfigError(f"{uri} holds more than {MAX_NOTES:,} wav files; cut it into several")
    if len(examples) != 1:
        raise num_examples_json(uri, len(examples))
    (known,) = examples
    home = posixpath.dirname(posixpath.normpath(known.name))
    wavs, others = by_note(folders.pop(posixpath.join(home, "audio"), []))
    for folder, elsewhere in folders.items():
        others += [wav._replace(name=posixpath.join(folder, wav.name)) for wav in elsewhere]
    return Contents((known.offset, known.offset + known.size), wavs, others)


def by_note(found: Iterable[WavFile]) -> tuple[dict[str, WavFile], list[WavFile]]:
    """Wav files of one folder by the name of their note, and those that another one replaces.

    Of files whose names differ only in the case of `.wav`, `.wav` itself counts; of files of one
    name that which comes last in the archive.
    """
    wavs, others = dict[str, WavFile](), list[WavFile]()
    for wav in sorted(found):
        note = wav.name[: -len(".wav")]
        if note in wavs:
            others.append(wavs[note])
        wavs[note] = wav
    return wavs, others


def pairs(entries: Sequence[Entry], contents: Contents) -> list[Pair]:
    """The notes in the order that numbers them, the same in every form.

    Those of examples.json come first, in its order; then wav files without an entry, by name.
    """
    wavs = dict(contents.wavs)
    found: list[Pair] = [(entry, wavs.pop(entry.name, None)) for entry in entries]
    return [*found, *((None, wav) for wav in sorted([*wavs.values(), *contents.others]))]


def no_note(uri: str) -> ConfigError:
    """Return the error for a source that lists nothing."""
    return ConfigError(
        f"{uri} holds no note: its {EXAMPLES_JSON} is empty and there is no wav file; check the "
        "path, or download it again"
    )


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


def _notes(source: Source, contents: Contents) -> list[Pair]:
    uri, (begin, end) = examples_uri(source), contents.examples
    blocks = (
        storage.read_range(uri, at, min(at + BLOCK_BYTES, end), checksum=True)
        for at in range(begin, end, BLOCK_BYTES)
    )
    entries = [
        entry._replace(begin=begin + entry.begin, end=begin + entry.end)
        for entry in find_entries(blocks, uri=storage.join(source.uri, EXAMPLES_JSON))
    ]
    return pairs(entries, contents)


def _folder(source: Source) -> Contents:
    size, _ = storage.identity(examples_uri(source))
    found = storage.sizes(storage.join(source.uri, "audio"))
    wavs = [WavFile(name, 0, num_bytes) for name, num_bytes in found.items() if is_wav(name)]
    return Contents((0, size), *by_note(wavs))


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


def _archive(source: Source) -> Contents:
    # A download that broke off ends before its last member does.
    there = (
        member._replace(size=max(min(member.size, source.size - member.offset), 0))
        for member in _members(source)
    )
    return archive_contents(there, uri=source.uri)
