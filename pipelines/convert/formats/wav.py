"""From the bytes of a wav file to samples: NSynth's are 16-bit mono PCM, all else is refused.

Source: http://soundfile.sapp.org/doc/WaveFormat/.
"""

import struct
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.convert.formats.reasons import Reason
from pipelines.errors import RecordError

_RIFF: Final = struct.Struct("<4sI4s")
_CHUNK: Final = struct.Struct("<4sI")
_FORMAT: Final = struct.Struct("<HHIIHH")
_PCM: Final = 1
# Its own code follows the fields that all formats have, and eight bytes that only it has.
_EXTENSIBLE: Final = 0xFFFE
_EXTENSIBLE_CODE: Final = struct.Struct("<16x8xH")

_NEEDED: Final = (b"fmt ", b"data")
# Chunks looked at before the samples; usual files have two to five, and each takes time.
_MAX_CHUNKS: Final = 1000


class Wav(NamedTuple):
    """The content of a wav file.

    Attributes:
      audio: float32 [num_samples], in [-1, 1).
    """

    audio: NDArray[np.float32]
    sample_rate_hz: int


def parse_wav(data: bytes) -> Wav:
    """Read 16-bit mono PCM.

    Raises:
      RecordError: it is something else; the reason is a `Reason`.
    """
    if len(data) < _RIFF.size or _RIFF.unpack_from(data)[::2] != (b"RIFF", b"WAVE"):
        raise RecordError(Reason.NOT_WAV, "the file does not begin as a RIFF WAVE file does")
    # Format and samples may come in either order; nothing after the second of them is looked at.
    form_at, at = _find_chunks(data)
    form = data[form_at.start : form_at.stop]
    if len(form) < _FORMAT.size:
        raise _cut_short("fmt ")
    code, channels, rate, _, _, bits = _FORMAT.unpack_from(form)
    if code == _EXTENSIBLE:
        if len(form) < _EXTENSIBLE_CODE.size:
            raise _cut_short("fmt ")
        (code,) = _EXTENSIBLE_CODE.unpack_from(form)
    if (code, channels, bits) != (_PCM, 1, 16):
        raise RecordError(
            Reason.WAV_FORMAT,
            f"expected 16-bit mono PCM, got format {code} of {bits} bits, {channels} channels",
        )
    if at.stop > len(data) or len(at) % 2:
        raise RecordError(
            Reason.NOT_WAV,
            f"the samples should end at byte {at.stop}, the file does at {len(data)}",
        )
    samples = np.frombuffer(data, "<i2", len(at) // 2, at.start)
    # Divided by 2**15, as the TFRecord form of the same notes is.
    return Wav(samples.astype(np.float32) / np.float32(2**15), rate)


def _find_chunks(data: bytes) -> tuple[range, range]:
    """Return the bytes of format and samples; of equal chunks the first counts."""
    found, at = dict[bytes, range](), _RIFF.size
    for _ in range(_MAX_CHUNKS):
        if len(found) == len(_NEEDED) or at + _CHUNK.size > len(data):
            break
        name, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if name in _NEEDED:
            found.setdefault(name, range(at, at + size))
        at += size + size % 2
    for name in _NEEDED:
        if name not in found:
            raise RecordError(Reason.NOT_WAV, f"the file has no chunk {name.decode()!r}")
    return found[b"fmt "], found[b"data"]


def _cut_short(name: str) -> RecordError:
    return RecordError(Reason.NOT_WAV, f"chunk {name!r} is cut short")
