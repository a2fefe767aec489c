"""Records of one byte range of a source become notes, resampled in batches.

Knows nothing of storage and shards: bytes come from a window, rows and samples leave as values.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.example import Example, check_peak, decode
from pipelines.convert.formats.tfrecord import Position, Record, Span, read_records
from pipelines.errors import DatasetError, RecordError
from pipelines.notes import NUM_SOURCE_SAMPLES


def resample(audio: NDArray[np.float32], *, num_samples: int) -> NDArray[np.float32]:
    """Resample each note in the frequency domain.

    Args:
      audio: float32 [num_notes, num_source_samples], in [-1, 1].
      num_samples: samples to keep per note.

    Returns:
      float32 [num_notes, num_samples]; may overshoot [-1, 1] where the input clips. As many samples
      as there are come back as they are, bit by bit.

    Source: scipy.signal.resample, the reference report's method.
    """
    # A transform and its inverse would change their last bits.
    if num_samples == audio.shape[1]:
        return audio
    # Its import takes longer than many a command.
    from scipy import signal  # noqa: PLC0415 - as above

    return np.asarray(signal.resample(audio, num_samples, axis=1), np.float32)


# Eight notes are two mebibytes: what a batched FFT works on stays in a core's cache.
_BATCH_NOTES: Final = 8

# Records and spans that one range may set aside; a range of NSynth holds about 500 records, and
# each that is set aside takes memory.
MAX_SET_ASIDE: Final = 2**16


@dataclass
class RangeResult:
    """The content of one range, filled while it is read.

    Attributes:
      exit: position of the reader after the range; the start until then.
      first_header: offset of the first record or span found, None without one.
      record_bytes: bytes of the records whose checksums hold, frames included.
      notes: the scalar columns of each note.
      samples: float32 [num_notes_of_a_batch, num_samples], in order of the notes.
      quarantined: a row for each valid record that cannot become a note.
      spans: damage after the first header, in order.
    """

    exit: Position
    first_header: int | None = None
    record_bytes: int = 0
    notes: list[dict[str, Any]] = field(default_factory=list)
    samples: list[NDArray[np.float32]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)


def read_range(
    window: Window, entry: Position, *, end: int, source_file: str, num_samples: int
) -> RangeResult:
    """Read and convert the records whose header begins in [entry.offset, end).

    Args:
      num_samples: samples to keep per note.

    Raises:
      DatasetError: more is set aside than any file of NSynth could make necessary.
    """
    content = RangeResult(exit=entry)
    collector = NoteBatcher(content, source_file, num_samples)
    for item in _items(content, window, end):
        if content.first_header is None:
            content.first_header = item.offset
        if isinstance(item, Span):
            content.spans.append(item)
        else:
            content.record_bytes += item.end - item.offset
            _collect(item, collector)
        _check_room(content, item, source_file)
    collector.finish()
    return content


def _collect(record: Record, collector: "NoteBatcher") -> None:
    size = record.end - record.offset
    try:
        example = decode(record.payload)
    except RecordError as err:
        collector.set_aside(err, offset=record.offset, length=size, payload=record.payload)
        return
    collector.add(Pending(example, record.offset, size, record.payload))


def _items(content: RangeResult, window: Window, end: int) -> Iterator[Record | Span]:
    content.exit = yield from read_records(window, content.exit, end)


def _check_room(content: RangeResult, item: Record | Span, source_file: str) -> None:
    if len(content.spans) + len(content.quarantined) > MAX_SET_ASIDE:
        raise DatasetError(
            f"more than {MAX_SET_ASIDE} records between bytes {content.first_header} and "
            f"{item.end} of {source_file} are no notes; expected a TFRecord file of NSynth"
        )


class Pending(NamedTuple):
    """A note that waits for others.

    Attributes:
      offset: its offset in the source.
      length: bytes there.
      payload: the bytes for its digest if it is set aside.
    """

    example: Example
    offset: int
    length: int
    payload: bytes


class NoteBatcher:
    """Puts notes into the content of a range, some at a time.

    Work on all samples is done for a batch at once: between two calls of NumPy a thread waits for
    its turn, and with one call per note two threads are no faster than one.
    """

    def __init__(self, content: RangeResult, source_file: str, num_samples: int) -> None:
        self._content = content
        self._source_file = source_file
        self._num_samples = num_samples
        self._batch: list[Pending] = []
        self._digests: list[str] = []

    def add(self, note: Pending) -> None:
        """Add a note; it is set aside later if its samples are invalid."""
        self._batch.append(note)
        self._digests.append(xxhash.xxh3_128_hexdigest(note.example.audio.data))
        if len(self._batch) == _BATCH_NOTES:
            self._convert_batch()

    def set_aside(self, err: RecordError, *, offset: int, length: int, payload: bytes) -> None:
        """Add a record that cannot become a note to the quarantine."""
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
        """Add the pending notes, and sort the quarantine in the order of the source."""
        self._convert_batch()
        self._content.quarantined.sort(key=itemgetter("offset"))

    def _convert_batch(self) -> None:
        batch, self._batch = self._batch, []
        digests, self._digests = self._digests, []
        if not batch:
            return
        # float32 [num_notes, 64000]; one copy of all, where stacking would be a call a note.
        joined = b"".join([note.example.audio.data for note in batch])
        audio = np.frombuffer(joined, np.float32).reshape(len(batch), NUM_SOURCE_SAMPLES)
        # Both ends of the range, since NaN and infinity pass through them and no copy is made.
        peaks = np.maximum(audio.max(axis=1), -audio.min(axis=1)).tolist()
        sound = [row for row, note in enumerate(batch) if self._is_valid(note, peaks[row])]
        if len(sound) < len(batch):
            audio, batch = audio[sound], [batch[row] for row in sound]
            peaks = [peaks[row] for row in sound]
            digests = [digests[row] for row in sound]
        if batch:
            self._add_notes(batch, audio, peaks, digests)

    def _is_valid(self, note: Pending, peak: float) -> bool:
        try:
            check_peak(peak)
        except RecordError as err:
            offset, length, payload = note.offset, note.length, note.payload
            self.set_aside(err, offset=offset, length=length, payload=payload)
            return False
        return True

    def _add_notes(
        self,
        batch: list[Pending],
        audio: NDArray[np.float32],
        peaks: list[float],
        digests: list[str],
    ) -> None:
        rms = np.sqrt(np.vecdot(audio, audio) / NUM_SOURCE_SAMPLES).tolist()
        for row, note in enumerate(batch):
            self._content.notes.append(
                note.example.scalars
                | {
                    "peak": peaks[row],
                    "rms": rms[row],
                    "audio_digest": digests[row],
                    "source_file": self._source_file,
                    "source_offset": note.offset,
                }
            )
        self._content.samples.append(resample(audio, num_samples=self._num_samples))
