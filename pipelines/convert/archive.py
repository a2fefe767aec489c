"""A compressed tar of the json + wav form, read from front to back.

What is known of the notes may stand behind them: a first pass takes examples.json out of the
archive, a second one goes through the wav files.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from pipelines import storage
from pipelines.convert.examples_json import FILE_NAME as EXAMPLES_JSON
from pipelines.convert.examples_json import find_entries, parse_entries
from pipelines.convert.gunzip import GZIP_CORRUPT, GzipStream
from pipelines.convert.jsonwav import Item
from pipelines.convert.readahead import BLOCK_BYTES, NO_END, Fetch, ReadAhead
from pipelines.convert.sources import Source, fetcher, is_wav
from pipelines.convert.tar import members
from pipelines.convert.tfrecord import MAX_RECORD_BYTES
from pipelines.convert.window import Window
from pipelines.errors import ConfigError, DatasetError


@contextmanager
def opened_archive(source: Source, *, begin: int) -> Iterator[Iterator[Item]]:
    """The notes of an archive in the order of its wav files, and then those without a wav file.

    Args:
      begin: so many come first that are not wanted.

    Raises:
      ConfigError: there is no examples.json, or it is not what it should be.
      DatasetError: the compressed stream is damaged; also while notes are taken.
    """
    with tempfile.TemporaryFile() as file:
        with _opened(source) as window:
            _copy_examples(window, file, uri=source.uri)
        entries = _Entries(file, uri=storage.join(source.uri, EXAMPLES_JSON))
        with _opened(source) as window:
            yield _items(window, entries, begin=begin)


class _Entries:
    """The entries of an examples.json, each given out once.

    Args:
      file: holds it.
      uri: what it is called in errors.
    """

    def __init__(self, file: BinaryIO, *, uri: str) -> None:
        self._file = file
        file.seek(0)
        blocks = iter(lambda: file.read(BLOCK_BYTES), b"")
        self._places = {
            entry.name: (entry.begin, entry.end) for entry in find_entries(blocks, uri=uri)
        }

    def take(self, name: str) -> tuple[str, Any] | None:
        """The name and what stands under it; None where nothing does, or nothing does any more."""
        if name not in self._places:
            return None
        begin, end = self._places.pop(name)
        self._file.seek(begin)
        (entry,) = parse_entries(self._file.read(end - begin))
        return entry

    def take_rest(self) -> Iterator[tuple[str, Any]]:
        """All that is left, in order, without what stands under the names."""
        while self._places:
            name = next(iter(self._places))
            del self._places[name]
            yield name, None


def _items(window: Window, entries: _Entries, *, begin: int) -> Iterator[Item]:
    number = 0
    for member in members(window):
        name = storage.name(member.name)
        if not is_wav(name):
            continue
        entry = entries.take(name.removesuffix(".wav"))
        if number >= begin:
            end = member.offset + min(member.size, MAX_RECORD_BYTES)
            wav = window.bytes_at(member.offset, end)
            # The archive may end within it.
            size = member.size if len(wav) == MAX_RECORD_BYTES else len(wav)
            yield Item(entry, name, wav, size)
        number += 1
    for without_wav, entry in enumerate(entries.take_rest(), start=number):
        if without_wav >= begin:
            yield Item(entry, "", None, 0)


def _copy_examples(window: Window, target: BinaryIO, *, uri: str) -> None:
    for member in members(window):
        if storage.name(member.name) == EXAMPLES_JSON:
            end = member.offset + member.size
            for at in range(member.offset, end, BLOCK_BYTES):
                target.write(window.bytes_at(at, min(at + BLOCK_BYTES, end)))
            return
    raise ConfigError(
        f"there is no {EXAMPLES_JSON} in {uri}: a tar of NSynth holds {EXAMPLES_JSON} and "
        "audio/*.wav of one split"
    )


@contextmanager
def _opened(source: Source) -> Iterator[Window]:
    stream = GzipStream(fetcher(source), size=source.size)
    with ReadAhead(_sound(stream, uri=source.uri), stop=NO_END) as read:
        yield Window(read, size=None)


def _sound(stream: GzipStream, *, uri: str) -> Fetch:
    def read(start: int, end: int) -> bytes:
        data = stream.read(start, end)
        if stream.fault and stream.fault.reason == GZIP_CORRUPT:
            # Damage shows late, and nothing in a wav file tells that a sample is wrong.
            raise DatasetError(
                f"{uri} is damaged: it cannot be decompressed behind byte {stream.fault.offset} of "
                "what it holds, and any note before may be wrong; download it again"
            )
        return data

    return read
