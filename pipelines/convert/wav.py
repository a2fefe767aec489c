"""From the bytes of a wav file to samples: NSynth's are 16-bit mono PCM, all else is refused.

Source: http://soundfile.sapp.org/doc/WaveFormat/.
"""

import struct
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import RecordError

NOT_WAV: Final = "not_wav"
WAV_FORMAT: Final = "wav_format"
REASONS: Final = (NOT_WAV, WAV_FORMAT)
"""Why a wav file has no samples to offer."""

_RIFF: Final = struct.Struct("<4sI4s")
_CHUNK: Final = struct.Struct("<4sI")
_FORMAT: Final = struct.Struct("<HHIIHH")
_PCM: Final = 1
# Its own code stands 24 bytes into the chunk.
_EXTENSIBLE: Final = 0xFFFE


class Wav(NamedTuple):
    """What a wav file holds.

    Attributes:
      audio: float32 [num_samples], in [-1, 1).
    """

    audio: NDArray[np.float32]
    sample_rate_hz: int


def parse_wav(data: bytes) -> Wav:
    """Reads 16-bit mono PCM.

    Raises:
      RecordError: it is something else; the reason is one of `REASONS`.
    """
    if len(data) < _RIFF.size or _RIFF.unpack_from(data)[::2] != (b"RIFF", b"WAVE"):
        raise RecordError(NOT_WAV, "the file does not begin as a RIFF WAVE file does")
    chunks = _chunks(data)
    code, channels, rate, _, _, bits = _FORMAT.unpack_from(data, _format_at(data, chunks))
    if code == _EXTENSIBLE and len(chunks[b"fmt "]) >= 26:
        (code,) = struct.unpack_from("<H", data, chunks[b"fmt "].start + 24)
    if (code, channels, bits) != (_PCM, 1, 16):
        raise RecordError(
            WAV_FORMAT,
            f"expected 16-bit mono PCM, got format {code} of {bits} bits, {channels} channels",
        )
    at = chunks[b"data"]
    if at.stop > len(data) or len(at) % 2:
        raise RecordError(
            NOT_WAV, f"the samples should end at byte {at.stop}, the file does at {len(data)}"
        )
    samples = np.frombuffer(data, "<i2", len(at) // 2, at.start)
    # Divided by 2**15, as the TFRecord form of the same notes is.
    return Wav(samples.astype(np.float32) / np.float32(2**15), rate)


def _chunks(data: bytes) -> dict[bytes, range]:
    """Where the content of each chunk lies, or should; of equal names the first counts."""
    found, at = dict[bytes, range](), _RIFF.size
    while at + _CHUNK.size <= len(data):
        name, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        found.setdefault(name, range(at, at + size))
        at += size + size % 2
    return found


def _format_at(data: bytes, chunks: dict[bytes, range]) -> int:
    for name, least in ((b"fmt ", _FORMAT.size), (b"data", 0)):
        if name not in chunks:
            raise RecordError(NOT_WAV, f"the file has no chunk {name.decode()!r}")
        if len(chunks[name]) < least or chunks[name].start + least > len(data):
            raise RecordError(NOT_WAV, f"chunk {name.decode()!r} is cut short")
    return chunks[b"fmt "].start
