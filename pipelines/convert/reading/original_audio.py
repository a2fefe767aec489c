"""Original samples of a few notes, read back from where their data set says that they came from.

Nothing is scanned: a note's offset is that of its record, whose two checksums must hold. Of forms
that can only be read from front to back nothing is read.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.formats.example import MAX_NOTE_BYTES, decode
from pipelines.convert.formats.tfrecord import FOOTER_BYTES, HEADER_BYTES, masked_crc
from pipelines.convert.formats.wav import parse_wav
from pipelines.convert.reading.sources import JSON_WAV, TFRECORD, Source, fetcher
from pipelines.errors import PipelineError
from pipelines.records import check_name

Audio = NDArray[np.float32]


def read_original(
    sources: Sequence[Source], *, source_file: str, source_offset: int, note_str: str
) -> Audio | None:
    """The samples that a note had before it was resampled.

    Args:
      sources: of the note's manifest.
      source_file: the note's, as is `source_offset`.

    Returns:
      float32 [64000] at 16 kHz; None where the source is gone, has changed, or cannot be read at
      a place.
    """
    source = next((of for of in sources if of.name == source_file), None)
    if source is None:
        return None
    try:
        if source.form == TFRECORD:
            # Twice at most: a transfer may be at fault.
            found = _record(source, source_offset) or _record(source, source_offset)
            is_same = found is not None and found[0] == note_str
            return found[1] if found and is_same else None
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
    """Name and samples of the note in the record at an offset; None where there is none."""
    fetch = fetcher(source)
    header = fetch(offset, offset + HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    length, crc = struct.unpack("<QI", header)
    if length > MAX_NOTE_BYTES or masked_crc(header[:8]) != crc:
        return None
    begin = offset + HEADER_BYTES
    data = fetch(begin, begin + length + FOOTER_BYTES)
    payload = data[:length]
    if data[length:] != struct.pack("<I", masked_crc(payload)):
        return None
    example = decode(payload)
    return example.scalars["note_str"], np.array(example.audio)
