"""NSynth's json + wav form: the list of its notes and where each wav file is, and their reading.

A folder, a tar and a compressed tar follow one rule: an archive holds what the folder that it
unpacks to holds. A note is an entry of examples.json and the wav file of its name in `audio` beside
it. The first of several entries of one name counts, and the last of several wav files of one name
in an archive, which is the one that is there once it is unpacked.

Notes are in the order of examples.json, so that the entries of one part are in one piece of it. Wav
files without an entry come last, by name: they are counted, not passed over. A note's
`source_offset` is its number in the source, from 0; bytes are those of the wav files.

Nothing in this form has a checksum. Each wav file that cannot become a note is set aside, and
remote files are read so that storage notices changes in transfer.
"""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any, Final, NamedTuple

import numpy as np

from pipelines import storage
from pipelines.convert.formats.byte_stream import BLOCK_BYTES, Window, fetch_ahead
from pipelines.convert.formats.example import Example
from pipelines.convert.formats.examples_json import FILE_NAME as EXAMPLES_JSON
from pipelines.convert.formats.examples_json import (
    MAX_NOTES,
    Entry,
    find_entries,
    note_scalars,
    parse_entries,
)
from pipelines.convert.formats.reasons import Reason
from pipelines.convert.formats.tar import Member, members
from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES, Position
from pipelines.convert.formats.wav import parse_wav
from pipelines.convert.reading.sources import (
    JSON_WAV,
    JSON_WAV_TAR,
    Source,
    both_forms_error,
    fetcher,
    is_wav,
    member_form,
    num_examples_error,
)
from pipelines.convert.reading.tfrecord_range import NoteBatcher, Pending, RangeResult
from pipelines.errors import ConfigError, RecordError
from pipelines.notes import NUM_SOURCE_SAMPLES

# The content between the headers of a local archive is not read.
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


# A note, or the part of it that exists: an entry or a wav file.
Pair = tuple[Entry | None, WavFile | None]


@dataclass(frozen=True)
class Part:
    """Some notes in a row, which become one shard.

    Attributes:
      begin: number of the first among all of the source.
      entries: first byte in examples.json, or in the tar that holds it, of what is known of the
        notes, and the byte after the last.
      wavs: of each note, None where it has none; then those of which nothing is known.
    """

    begin: int
    entries: tuple[int, int]
    wavs: tuple[WavFile | None, ...]

    @property
    def end(self) -> int:
        """Return the number after the last."""
        return self.begin + len(self.wavs)

    @property
    def wav_bytes(self) -> int:
        """Return the number of bytes in all its wav files."""
        return sum(wav.size for wav in self.wavs if wav)


class Contents(NamedTuple):
    """The index of a source.

    Attributes:
      examples: first byte of examples.json in the file that holds it, and the byte after its last.
      wavs: by the name of their note.
      others: wav files that belong to no note.
    """

    examples: tuple[int, int]
    wavs: dict[str, WavFile]
    others: list[WavFile]


def split_parts(source: Source, *, num_notes: int) -> tuple[Part, ...]:
    """Cut a source into parts, which takes one pass through its examples.json.

    Args:
      source: a folder or an uncompressed tar.
      num_notes: notes in a part.

    Raises:
      ConfigError: there is no examples.json, it is malformed, or there is no note.
    """
    contents = _archive(source) if source.form == JSON_WAV_TAR else _folder(source)
    notes, parts, begin = iter(_notes(source, contents)), list[Part](), 0
    while batch := list(islice(notes, num_notes)):
        known = [entry for entry, _ in batch if entry]
        span = (known[0].begin, known[-1].end) if known else (0, 0)
        parts.append(Part(begin, span, tuple(wav for _, wav in batch)))
        begin += len(batch)
    if not parts:
        raise no_note_error(source.uri)
    return tuple(parts)


def sort_members(found: Iterable[Member], *, uri: str) -> Contents:
    """Sort the members of an archive by type.

    Args:
      found: all of its members; each is done with before the next is taken.
      uri: the archive's, for errors.

    Raises:
      ConfigError: it holds the other form too, another number of examples.json than one, more wav
        files than a source may have, or one of them not as a plain file.
    """
    examples, folders, num = list[Member](), dict[str, list[WavFile]](), 0
    for member in found:
        form = member_form(member, uri=uri)
        if form is None:
            continue
        if form != JSON_WAV:
            raise both_forms_error(uri)
        folder, name = posixpath.split(posixpath.normpath(member.name))
        if name == EXAMPLES_JSON:
            examples.append(member)
            continue
        folders.setdefault(folder, []).append(WavFile(name, member.offset, member.size))
        num += 1
        if num > MAX_NOTES:
            raise ConfigError(f"{uri} holds more than {MAX_NOTES:,} wav files; cut it into several")
    if len(examples) != 1:
        raise num_examples_error(uri, len(examples))
    (known,) = examples
    home = posixpath.dirname(posixpath.normpath(known.name))
    wavs, others = wavs_by_note(folders.pop(posixpath.join(home, "audio"), []))
    for folder, elsewhere in folders.items():
        others += [wav._replace(name=posixpath.join(folder, wav.name)) for wav in elsewhere]
    return Contents((known.offset, known.offset + known.size), wavs, others)


def wavs_by_note(found: Iterable[WavFile]) -> tuple[dict[str, WavFile], list[WavFile]]:
    """Group wav files of one folder by their note; return also those that another one replaces.

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


def pair_notes(entries: Sequence[Entry], contents: Contents) -> list[Pair]:
    """Return the notes in the order of their numbers, the same in every form.

    Those of examples.json come first, in its order; then wav files without an entry, by name.
    """
    wavs = dict(contents.wavs)
    found: list[Pair] = [(entry, wavs.pop(entry.name, None)) for entry in entries]
    return [*found, *((None, wav) for wav in sorted([*wavs.values(), *contents.others]))]


def no_note_error(uri: str) -> ConfigError:
    """Return the error for a source that lists nothing."""
    return ConfigError(
        f"{uri} holds no note: its {EXAMPLES_JSON} is empty and there is no wav file; check the "
        "path, or download it again"
    )


def examples_uri(source: Source) -> str:
    """Return the URI of examples.json, or of the archive that holds it."""
    if source.form == JSON_WAV_TAR:
        return source.uri
    return storage.join(source.uri, EXAMPLES_JSON)


def wav_uri(source: Source, wav: WavFile) -> str:
    """Return the URI of a note's audio, or of the archive that holds it."""
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
    return pair_notes(entries, contents)


def _folder(source: Source) -> Contents:
    size, _ = storage.identity(examples_uri(source))
    found = storage.sizes(storage.join(source.uri, "audio"))
    wavs = [WavFile(name, 0, num_bytes) for name, num_bytes in found.items() if is_wav(name)]
    return Contents((0, size), *wavs_by_note(wavs))


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
    return sort_members(there, uri=source.uri)


# Wav files on their way: an eighth of a mebibyte each, where a bucket takes 20 ms to answer.
NUM_AHEAD: Final = 8


class Item(NamedTuple):
    """A stored note, or the part of it that exists.

    Attributes:
      number: its place among all of the source, which `parts.pairs` gives.
      entry: its features by name; None without an entry.
      wav: its wav file, no more than the longest that is believed; None where there is none.
      size: bytes of that file.
    """

    number: int
    entry: tuple[str, Any] | None
    wav_name: str
    wav: bytes | None
    size: int


def read_part(source: Source, part: Part, *, num_samples: int) -> RangeResult:
    """Read and convert the notes of one part of a folder or of a tar.

    Args:
      num_samples: samples to keep per note.
    """

    def fetch(wav: WavFile | None) -> bytes | None:
        if wav is None:
            return None
        uri, end = wav_uri(source, wav), wav.offset + min(wav.size, MAX_RECORD_BYTES)
        if source.form == JSON_WAV and wav.size <= MAX_RECORD_BYTES:
            # Of a whole object the store knows a checksum.
            data = storage.read(uri)
        else:
            data = storage.read_range(uri, wav.offset, end, checksum=True)
        if len(data) != end - wav.offset:
            raise OSError(f"{wav.name} of {source.uri} is shorter than when it was planned")
        return data

    known = parse_entries(storage.read_range(examples_uri(source), *part.entries, checksum=True))
    entries = known[: len(part.wavs)]
    with closing(fetch_ahead(fetch, part.wavs, num_ahead=NUM_AHEAD)) as wavs:
        items = (
            Item(part.begin + at, entry, wav.name if wav else "", data, wav.size if wav else 0)
            for at, (entry, wav, data) in enumerate(zip_longest(entries, part.wavs, wavs))
        )
        return read_items(items, begin=part.begin, source_file=source.name, num_samples=num_samples)


def read_items(
    items: Iterable[Item], *, begin: int, source_file: str, num_samples: int
) -> RangeResult:
    """Convert notes, which are stored in the order of their numbers.

    Args:
      items: in the order in which their source holds them.
      begin: how many of the source come before.
      num_samples: samples to keep per note.
    """
    content = RangeResult(exit=Position(begin, synced=True), first_header=begin)
    collector = NoteBatcher(content, source_file, num_samples)
    for num_read, item in enumerate(items, start=1):
        wav = item.wav or b""
        try:
            collector.add(Pending(decode_item(item), item.number, item.size, wav))
        except RecordError as err:
            collector.set_aside(err, offset=item.number, length=item.size, payload=wav)
        content.record_bytes += item.size
        content.exit = Position(begin + num_read, synced=True)
    collector.finish()
    _sort_notes(content)
    return content


def _sort_notes(content: RangeResult) -> None:
    """Put notes and samples in the order of the notes' numbers; an archive may have another."""
    numbers = [note["source_offset"] for note in content.notes]
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    if order != list(range(len(numbers))):
        content.notes = [content.notes[at] for at in order]
        content.samples = [np.concatenate(content.samples)[order]]


def decode_item(item: Item) -> Example:
    """Build a note from its entry and its wav file.

    Raises:
      RecordError: it cannot become one.
    """
    if item.entry is None:
        raise RecordError(Reason.NO_METADATA, f"no entry of its own is for {item.wav_name!r}")
    name, value = item.entry
    if item.wav is None:
        raise RecordError(Reason.MISSING_WAV, f"there is no wav file of its own for {name!r}")
    if item.size > MAX_RECORD_BYTES:
        raise RecordError(Reason.RECORD_TOO_LONG, f"{item.wav_name!r} has {item.size} bytes")
    scalars = note_scalars(name, value)
    audio, sample_rate_hz = parse_wav(item.wav)
    if len(audio) != NUM_SOURCE_SAMPLES:
        raise RecordError(
            Reason.WRONG_LENGTH,
            f"{item.wav_name!r} has {len(audio)} samples, expected {NUM_SOURCE_SAMPLES}",
        )
    return Example(scalars | {"sample_rate": sample_rate_hz}, audio)
