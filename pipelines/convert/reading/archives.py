"""Compressed tars, of either form of NSynth, read from front to back.

In the json + wav form the entries of the notes may come after their wav files, and so may a wav
file that replaces an earlier one: a first pass lists the archive and extracts examples.json, a
second pass goes through the wav files. TFRecord files need one pass, one file after the other.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, BinaryIO, Final, NamedTuple

from pipelines import storage
from pipelines.convert.formats.byte_stream import (
    BLOCK_BYTES,
    NO_END,
    Fault,
    Fetch,
    GzipStream,
    ReadAhead,
    Window,
)
from pipelines.convert.formats.examples_json import FILE_NAME as EXAMPLES_JSON
from pipelines.convert.formats.examples_json import find_entries, parse_entries
from pipelines.convert.formats.reasons import Reason
from pipelines.convert.formats.tar import BLOCK_BYTES as TAR_BLOCK_BYTES
from pipelines.convert.formats.tar import Member, is_tar, members
from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES
from pipelines.convert.reading.jsonwav import Item, no_note_error, pair_notes, sort_members
from pipelines.convert.reading.sources import (
    TFRECORD,
    Source,
    both_forms_error,
    fetcher,
    member_form,
)
from pipelines.errors import ConfigError, DatasetError

_MAX_EXAMPLES_BYTES: Final = 2**30
_MAX_EXAMPLES_RATIO: Final = 100
# The largest examples.json to unpack: that of the train split has 300 MB, and text shrinks to a
# tenth or a twentieth, where a file made to fill a disk shrinks to a thousandth.
_MIN_EXAMPLES_BYTES: Final = 2**22

_RECORDS_BLOCK_BYTES: Final = 2**20


class _Place(NamedTuple):
    """The range of a wav file: `entry` is first and last byte of its entry in examples.json."""

    number: int
    entry: tuple[int, int] | None
    name: str


@contextmanager
def open_archive(source: Source, *, begin: int) -> Iterator[Iterator[Item]]:
    """Yield the notes of an archive in the order of its wav files, then those without one.

    Args:
      begin: so many come first that are not wanted.

    Raises:
      ConfigError: the archive is not one of the json + wav form, or its examples.json is not what
        it should be.
      DatasetError: the compressed stream is damaged; also while notes are taken.
    """
    with tempfile.TemporaryFile() as file:
        with _opened(source) as window:
            listed = sort_members(_listed(window, file, source), uri=source.uri)
        file.seek(0)
        blocks = iter(lambda: file.read(BLOCK_BYTES), b"")
        entries = list(find_entries(blocks, uri=storage.join(source.uri, EXAMPLES_JSON)))
        places, without_wav = dict[int, _Place](), list[tuple[int, str]]()
        for number, (entry, wav) in enumerate(pair_notes(entries, listed)):
            if wav is not None:
                span = (entry.begin, entry.end) if entry else None
                places[wav.offset] = _Place(number, span, wav.name)
            elif entry is not None:
                without_wav.append((number, entry.name))
        if not places and not without_wav:
            raise no_note_error(source.uri)
        del listed, entries
        with _opened(source) as window:
            yield _items(window, file, places, without_wav, begin=begin)


def _items(
    window: Window,
    examples: BinaryIO,
    places: dict[int, _Place],
    without_wav: list[tuple[int, str]],
    *,
    begin: int,
) -> Iterator[Item]:
    counter = count()
    for member in members(window):
        place = places.pop(member.offset, None)
        if place is None or next(counter) < begin:
            continue
        wav = window.bytes_at(member.offset, member.offset + min(member.size, MAX_RECORD_BYTES))
        # The archive may end within it.
        size = member.size if len(wav) == MAX_RECORD_BYTES else len(wav)
        entry = _entry(examples, place.entry) if place.entry else None
        yield Item(place.number, entry, place.name, wav, size)
    if places:
        raise OSError(f"{len(places)} wav files of an archive are gone since it was listed")
    for number, name in without_wav:
        if next(counter) >= begin:
            yield Item(number, (name, None), "", None, 0)


def _entry(file: BinaryIO, span: tuple[int, int]) -> tuple[str, Any]:
    file.seek(span[0])
    (entry,) = parse_entries(file.read(span[1] - span[0]))
    return entry


def _listed(window: Window, target: BinaryIO, source: Source) -> Iterator[Member]:
    """Yield the members; examples.json is copied when the member after it is requested."""
    most = max(_MIN_EXAMPLES_BYTES, min(_MAX_EXAMPLES_BYTES, _MAX_EXAMPLES_RATIO * source.size))
    for member in members(window):
        yield member
        if storage.name(member.name) != EXAMPLES_JSON:
            continue
        if member.size > most:
            raise ConfigError(
                f"{EXAMPLES_JSON} in {source.uri} has {member.size:,} bytes, expected {most:,} at "
                "most in an archive of this size; unpack it and name the folder"
            )
        end = member.offset + member.size
        for at in range(member.offset, end, BLOCK_BYTES):
            target.write(window.bytes_at(at, min(at + BLOCK_BYTES, end)))


class RecordStream:
    """The TFRecord file that a compressed source unpacks to; of a tar all that it holds, in a row.

    Attributes:
      num_fetched: bytes of the source that were asked for.
    """

    def __init__(self, source: Source) -> None:
        self._uri = source.uri
        self._stream = GzipStream(fetcher(source), size=source.size)
        self._window = Window(self._stream.read, size=None, block_bytes=_RECORDS_BLOCK_BYTES)
        is_archive = is_tar(self._window.bytes_at(0, TAR_BLOCK_BYTES))
        self._members = self._record_members() if is_archive else None
        # Bytes [begin, end) of what `read` gives are those of one member, which begins at `at`.
        self._begin = self._end = self._at = 0

    @property
    def num_fetched(self) -> int:
        """Return the number of bytes of the source that were fetched."""
        return self._stream.num_fetched

    @property
    def fault(self) -> Fault | None:
        """Return where and why the stream broke off, in the bytes of `read`; None while intact."""
        fault = self._stream.fault
        if fault is None or self._members is None:
            return fault
        offset = self._begin + max(fault.offset - self._at, 0)
        return fault._replace(offset=min(offset, self._end))

    def read(self, start: int, end: int) -> bytes:
        """Return bytes [start, end), fewer only where they end; never from before the last end.

        Raises:
          ConfigError: an archive holds the json + wav form too.
        """
        if self._members is None:
            return self._window.bytes_at(start, end)
        parts = list[bytes]()
        while start < end:
            while start >= self._end:
                if not self._next_member():
                    return b"".join(parts)
            first = self._at + start - self._begin
            part = self._window.bytes_at(first, first + min(end, self._end) - start)
            # The archive may end within a member.
            self._end = self._end if part else start
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def _next_member(self) -> bool:
        member = next(self._members or iter(()), None)
        if member is None:
            return False
        self._begin, self._end = self._end, self._end + member.size
        self._at = member.offset
        return True

    def _record_members(self) -> Iterator[Member]:
        for member in members(self._window):
            form = member_form(member, uri=self._uri)
            if form == TFRECORD:
                yield member
            elif form is not None:
                raise both_forms_error(self._uri)


@contextmanager
def _opened(source: Source) -> Iterator[Window]:
    stream = GzipStream(fetcher(source), size=source.size)
    with ReadAhead(_sound(stream, uri=source.uri), stop=NO_END) as read:
        yield Window(read, size=None)


def _sound(stream: GzipStream, *, uri: str) -> Fetch:
    def read(start: int, end: int) -> bytes:
        data = stream.read(start, end)
        if stream.fault and stream.fault.reason == Reason.GZIP_CORRUPT:
            # Damage shows late, and nothing in a wav file shows that a sample is wrong.
            raise DatasetError(
                f"{uri} is damaged: it cannot be decompressed behind byte {stream.fault.offset} of "
                "what it holds, and any note before may be wrong; download it again"
            )
        return data

    return read
