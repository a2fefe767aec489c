"""What one byte range of a source holds: its records become notes, eight at a time resampled.

Knows nothing of storage and shards: bytes come by a window, rows and samples leave as values.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines.convert.example import Example, decode
from pipelines.convert.resample import resample
from pipelines.convert.tfrecord import Position, Record, Span, Window, read_records
from pipelines.errors import RecordError
from pipelines.notes import NUM_SAMPLES, NUM_SOURCE_SAMPLES

# Eight notes are two mebibytes: what a batched FFT works on stays in a core's cache.
_BATCH_NOTES: Final = 8


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
    """Reads and converts the records whose header begins in [entry.offset, end)."""
    content = Content(exit=entry)
    batch: list[tuple[Example, int]] = []
    for item in _items(content, window, end):
        if content.first_header is None:
            content.first_header = item.offset
        if isinstance(item, Span):
            content.spans.append(item)
            continue
        content.record_bytes += item.end - item.offset
        try:
            batch.append((decode(item.payload), item.offset))
        except RecordError as err:
            content.quarantined.append(_quarantine_row(item, err, source_file))
        if len(batch) == _BATCH_NOTES:
            _add_notes(content, batch, source_file)
            batch.clear()
    _add_notes(content, batch, source_file)
    return content


def _items(content: Content, window: Window, end: int) -> Iterator[Record | Span]:
    content.exit = yield from read_records(window, content.exit, end)


def _add_notes(content: Content, batch: Sequence[tuple[Example, int]], source_file: str) -> None:
    if not batch:
        return
    audio = np.empty((len(batch), NUM_SOURCE_SAMPLES), np.float32)
    for row, (example, offset) in enumerate(batch):
        audio[row] = example.audio
        content.notes.append(
            example.scalars
            | {
                "peak": example.peak,
                "rms": float(np.sqrt(np.dot(example.audio, example.audio) / len(example.audio))),
                "audio_digest": xxhash.xxh3_128_hexdigest(example.audio.data),
                "source_file": source_file,
                "source_offset": offset,
            }
        )
    content.samples.append(resample(audio, num_samples=NUM_SAMPLES))


def _quarantine_row(record: Record, err: RecordError, source_file: str) -> dict[str, Any]:
    return {
        "source_file": source_file,
        "offset": record.offset,
        "length": record.end - record.offset,
        "reason": err.reason,
        "detail": err.detail,
        "sha256": hashlib.sha256(record.payload).hexdigest(),
    }
