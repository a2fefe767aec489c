"""What one byte range of a source holds: its records become notes, eight at a time resampled.

Knows nothing of storage and shards: bytes come by a window, rows and samples leave as values.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines.convert.example import Example, decode
from pipelines.convert.resample import resample
from pipelines.convert.tfrecord import Position, Record, Span, Window, read_records
from pipelines.errors import DatasetError, RecordError
from pipelines.notes import NUM_SAMPLES, NUM_SOURCE_SAMPLES

# Eight notes are two mebibytes: what a batched FFT works on stays in a core's cache.
_BATCH_NOTES: Final = 8

MAX_SET_ASIDE: Final = 2**16
"""Records and spans that one range may set aside; a range of NSynth holds about 500 records, and
each that is set aside takes memory."""


@dataclass
class Content:
    """What one range holds, filled while it is read.

    Attributes:
      exit: where the reader stands behind the range; the start until then.
      first_header: offset of the first record or span found, None without one.
      record_bytes: bytes of the records whose checksums hold, frames included.
      notes: the scalar columns of each note.
      samples: float32 [num_notes_of_a_batch, 8000], in order of the notes.
      quarantined: a row for each sound record that cannot become a note.
      spans: damage behind the first header, in order.
    """

    exit: Position
    first_header: int | None = None
    record_bytes: int = 0
    notes: list[dict[str, Any]] = field(default_factory=list)
    samples: list[NDArray[np.float32]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)


def read_range(window: Window, entry: Position, *, end: int, source_file: str) -> Content:
    """Reads and converts the records whose header begins in [entry.offset, end).

    Raises:
      DatasetError: more is set aside than any file of NSynth could make necessary.
    """
    content = Content(exit=entry)
    collector = Collector(content, source_file)
    for item in _items(content, window, end):
        if content.first_header is None:
            content.first_header = item.offset
        if isinstance(item, Span):
            _check_room(content, item, source_file)
            content.spans.append(item)
            continue
        content.record_bytes += item.end - item.offset
        try:
            collector.add(decode(item.payload), item.offset)
        except RecordError as err:
            _check_room(content, item, source_file)
            size = item.end - item.offset
            collector.set_aside(err, offset=item.offset, length=size, payload=item.payload)
    collector.finish()
    return content


def _items(content: Content, window: Window, end: int) -> Iterator[Record | Span]:
    content.exit = yield from read_records(window, content.exit, end)


def _check_room(content: Content, item: Record | Span, source_file: str) -> None:
    if len(content.spans) + len(content.quarantined) == MAX_SET_ASIDE:
        raise DatasetError(
            f"more than {MAX_SET_ASIDE} records between bytes {content.first_header} and "
            f"{item.end} of {source_file} are no notes; expected a TFRecord file of NSynth"
        )


class Collector:
    """Puts notes into the content of a range, resampling some at a time."""

    def __init__(self, content: Content, source_file: str) -> None:
        self._content = content
        self._source_file = source_file
        self._batch: list[tuple[Example, int]] = []

    def add(self, example: Example, offset: int) -> None:
        """Adds a note that stands at `offset` of its source."""
        self._batch.append((example, offset))
        if len(self._batch) == _BATCH_NOTES:
            self.finish()

    def set_aside(self, err: RecordError, *, offset: int, length: int, payload: bytes) -> None:
        """Adds what cannot become a note to the quarantine."""
        self._content.quarantined.append(
            {
                "source_file": self._source_file,
                "offset": offset,
                "length": length,
                "reason": err.reason,
                "detail": err.detail,
                "sha256": hashlib.sha256(payload).hexdigest(),
            }
        )

    def finish(self) -> None:
        """Adds the notes that still wait for others."""
        if not self._batch:
            return
        audio = np.empty((len(self._batch), NUM_SOURCE_SAMPLES), np.float32)
        for row, (example, offset) in enumerate(self._batch):
            audio[row] = example.audio
            energy = np.dot(example.audio, example.audio) / len(example.audio)
            self._content.notes.append(
                example.scalars
                | {
                    "peak": example.peak,
                    "rms": float(np.sqrt(energy)),
                    "audio_digest": xxhash.xxh3_128_hexdigest(example.audio.data),
                    "source_file": self._source_file,
                    "source_offset": offset,
                }
            )
        self._content.samples.append(resample(audio, num_samples=NUM_SAMPLES))
        self._batch.clear()
