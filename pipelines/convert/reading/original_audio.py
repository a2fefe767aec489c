"""Original samples of a few notes, read back from where their data set says that they came from.

Nothing is scanned: a note's offset is that of its record, whose two checksums must hold. Of forms
that can only be read from front to back nothing is read.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.example import decode
from pipelines.convert.formats.tfrecord import Span, record_at
from pipelines.convert.formats.wav import parse_wav
from pipelines.convert.reading.sources import JSON_WAV, TFRECORD, Source, fetcher
from pipelines.errors import PipelineError
from pipelines.records import check_name

Audio = NDArray[np.float32]

# A note with its frame fits in one request.
_BLOCK_BYTES: Final = 2**19


def read_original(
    sources: Sequence[Source], *, source_file: str, source_offset: int, note_str: str
) -> Audio | None:
    """Return the samples that a note had before it was resampled.

    Args:
      sources: of the note's manifest.
      source_file: the note's, as is `source_offset`.

    Returns:
      float32 [64000] at 16 kHz; None where the source is gone, has changed, or cannot be read at
      a place.
    """
    source = next((source for source in sources if source.name == source_file), None)
    if source is None:
        return None
    try:
        if source.form == TFRECORD:
            # Twice at most: a transfer may be at fault.
            note = _record(source, source_offset) or _record(source, source_offset)
            return note[1] if note and note[0] == note_str else None
        if source.form == JSON_WAV:
            return _wav(source, note_str)
    except (PipelineError, OSError, ValueError):
        # A name that could lead out of the folder is a ValueError.
        return None
    return None


def _wav(source: Source, note_str: str) -> Audio:
    uri = storage.join(source.uri, "audio", check_name(note_str))
    # Listing a folder of 300,000 files for one of them takes seconds.
    ending = ".wav" if storage.exists(f"{uri}.wav") else ".WAV"
    return parse_wav(storage.read(f"{uri}{ending}"))[0]


def _record(source: Source, offset: int) -> tuple[str, Audio] | None:
    """Return name and samples of the note in the record at an offset; None where there is none."""
    window = Window(fetcher(source), size=source.size, block_bytes=_BLOCK_BYTES)
    record = record_at(window, offset, None)
    if isinstance(record, Span):
        return None
    example = decode(record.payload)
    return example.scalars["note_str"], np.array(example.audio)
