"""NSynth's json + wav form: notes from examples.json and one wav file each.

A note's place, its `source_offset`, is its number in the source, from 0; bytes are those of the wav
files. Nothing in this form has a checksum: what can be told of damage is told, each wav file that
cannot become a note is set aside, and a compressed archive that is damaged is refused as a whole.
What comes from elsewhere is read so that storage notices what was changed on the way.
"""

from collections.abc import Iterable
from contextlib import closing
from itertools import zip_longest
from typing import Any, Final, NamedTuple

import numpy as np

from pipelines import storage
from pipelines.convert.example import Example
from pipelines.convert.examples_json import NO_METADATA, parse_entries, scalars_of
from pipelines.convert.features import WRONG_LENGTH
from pipelines.convert.parts import Part, WavFile, examples_uri, wav_uri
from pipelines.convert.ranges import Collector, Content, Pending
from pipelines.convert.readahead import fetched_ahead
from pipelines.convert.sources import JSON_WAV, Source
from pipelines.convert.tfrecord import MAX_RECORD_BYTES, RECORD_TOO_LONG, Position
from pipelines.convert.wav import parse_wav
from pipelines.errors import RecordError
from pipelines.notes import NUM_SOURCE_SAMPLES

MISSING_WAV: Final = "missing_wav"

NUM_AHEAD: Final = 8
"""Wav files on their way: an eighth of a mebibyte each, where a bucket takes 20 ms to answer."""


class Item(NamedTuple):
    """A note as it is stored, or what there is of one.

    Attributes:
      number: its place among all of the source, which `parts.pairs` gives.
      entry: what stands under its name, by name; None where nothing does.
      wav: its wav file, no more than the longest that is believed; None where there is none.
      size: bytes of that file.
    """

    number: int
    entry: tuple[str, Any] | None
    wav_name: str
    wav: bytes | None
    size: int


def read_part(source: Source, part: Part) -> Content:
    """Reads and converts the notes of one part of a folder or of a tar."""

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
    with closing(fetched_ahead(fetch, part.wavs, num_ahead=NUM_AHEAD)) as wavs:
        items = (
            Item(part.begin + at, entry, wav.name if wav else "", data, wav.size if wav else 0)
            for at, (entry, wav, data) in enumerate(zip_longest(entries, part.wavs, wavs))
        )
        return read_items(items, begin=part.begin, source_file=source.name)


def read_items(items: Iterable[Item], *, begin: int, source_file: str) -> Content:
    """Convert notes, which are stored in the order of their numbers.

    Args:
      items: in the order in which their source holds them.
      begin: how many of the source come before.
    """
    content = Content(exit=Position(begin, synced=True), first_header=begin)
    collector = Collector(content, source_file)
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


def _sort_notes(content: Content) -> None:
    """Put notes and samples in the order of the notes' numbers; an archive may have another."""
    numbers = [note["source_offset"] for note in content.notes]
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    if order != list(range(len(numbers))):
        content.notes = [content.notes[at] for at in order]
        content.samples = [np.concatenate(content.samples)[order]]


def decode_item(item: Item) -> Example:
    """Makes a note of what is stored of it.

    Raises:
      RecordError: it cannot become one.
    """
    if item.entry is None:
        raise RecordError(NO_METADATA, f"no entry of its own is for {item.wav_name!r}")
    name, value = item.entry
    if item.wav is None:
        raise RecordError(MISSING_WAV, f"there is no wav file of its own for {name!r}")
    if item.size > MAX_RECORD_BYTES:
        raise RecordError(RECORD_TOO_LONG, f"{item.wav_name!r} has {item.size} bytes")
    scalars = scalars_of(name, value)
    audio, sample_rate_hz = parse_wav(item.wav)
    if len(audio) != NUM_SOURCE_SAMPLES:
        raise RecordError(
            WRONG_LENGTH,
            f"{item.wav_name!r} has {len(audio)} samples, expected {NUM_SOURCE_SAMPLES}",
        )
    return Example(scalars | {"sample_rate": sample_rate_hz}, audio)
