"""Find the audio in a serialized tf.train.Example, so that it is neither copied nor parsed.

Knows the wire format only as far as that takes: whatever is written in another way, legal or not,
is left to the protocol buffer library.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.notes import NUM_SOURCE_SAMPLES

_AUDIO_BYTES: Final = 4 * NUM_SOURCE_SAMPLES
# Tags: the number of a field, and that its length follows.
_FEATURES: Final = 1 << 3 | 2
_ENTRY: Final = 1 << 3 | 2
_VALUE: Final = 2 << 3 | 2
_FLOAT_LIST: Final = 2 << 3 | 2
_PACKED: Final = 1 << 3 | 2
_AUDIO_KEY: Final = bytes([1 << 3 | 2, len("audio")]) + b"audio"
_LAST_BYTE: Final = 0x80
# No length in a note takes more bytes; the library parses a longer one.
_LENGTH_BYTES: Final = 4


class Found(NamedTuple):
    """The audio of a message and the bytes around it.

    Attributes:
      rest: the other features, a serialized tf.train.Features.
      audio: float32 [64000], a view of the message.
    """

    rest: bytes
    audio: NDArray[np.float32]


class _Entry(NamedTuple):
    start: int
    content: range


def find_audio(payload: bytes) -> Found | None:
    """Return the audio of a message if its one large entry is the audio in one packed list."""
    features = _field(payload, 0, _FEATURES)
    if features is None or features.stop != len(payload):
        return None
    large = _large_entries(payload, features)
    at = _packed_audio(payload, large[0].content) if len(large) == 1 else None
    if at is None:
        return None
    rest = payload[features.start : large[0].start] + payload[large[0].content.stop :]
    return Found(rest, np.frombuffer(payload, "<f4", NUM_SOURCE_SAMPLES, at))


def _large_entries(payload: bytes, features: range) -> list[_Entry]:
    """Return entries as long as the audio; none if anything but entries is among them."""
    found, at, stop = list[_Entry](), features.start, features.stop
    while at + 1 < stop:
        length = payload[at + 1]
        # All entries but the audio's are that short.
        if payload[at] == _ENTRY and length < _LAST_BYTE:
            at += 2 + length
            continue
        content = _field(payload, at, _ENTRY)
        if content is None:
            return []
        if len(content) >= _AUDIO_BYTES:
            found.append(_Entry(at, content))
        at = content.stop
    return found if at == stop else []


def _packed_audio(payload: bytes, entry: range) -> int | None:
    """Return where the samples begin if an entry is the audio's, with all in one chunk."""
    at = entry.start + len(_AUDIO_KEY)
    if payload[entry.start : at] != _AUDIO_KEY:
        return None
    for tag in (_VALUE, _FLOAT_LIST, _PACKED):
        inner = _field(payload, at, tag)
        if inner is None or inner.stop != entry.stop:
            return None
        at = inner.start
    return at if entry.stop - at == _AUDIO_BYTES else None


def _field(data: bytes, at: int, tag: int) -> range | None:
    """Return the range of a length-delimited field's content; None for any other field."""
    if data[at : at + 1] != bytes([tag]):
        return None
    length = 0
    for place, byte in enumerate(data[at + 1 : at + 1 + _LENGTH_BYTES]):
        length |= (byte & 0x7F) << 7 * place
        if byte < _LAST_BYTE:
            start = at + 2 + place
            return range(start, start + length) if start + length <= len(data) else None
    return None
