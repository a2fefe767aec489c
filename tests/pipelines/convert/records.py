"""TFRecord files for tests, written by a few lines of their own: frames, examples, sound notes."""

import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from pipelines.notes import CLASSES, FAMILIES, QUALITIES

Audio = NDArray[np.float32]

NUM_SAMPLES: Final = 64_000
SAMPLE_RATE_HZ: Final = 16_000

ATOL: Final = 8 * float(np.finfo(np.float32).eps)
"""How far resampled notes may differ: transforms of other shapes add in another order, which
costs some steps of float32 at full scale."""


def crc(data: bytes) -> bytes:
    """The masked checksum, as TFRecord stores it."""
    value = google_crc32c.value(data)
    rotated = (value >> 15) | (value << 17 & 0xFFFFFFFF)
    return struct.pack("<I", (rotated + 0xA282EAD8) % 2**32)


def header(length: int) -> bytes:
    """The twelve bytes before a payload."""
    octets = struct.pack("<Q", length)
    return octets + crc(octets)


def frame(payload: bytes) -> bytes:
    """One record."""
    return header(len(payload)) + payload + crc(payload)


def tfrecord(*payloads: bytes) -> bytes:
    """A TFRecord file."""
    return b"".join(map(frame, payloads))


def flipped(data: bytes, position: int) -> bytes:
    """The same bytes, one bit of one of them turned over."""
    octets = bytearray(data)
    octets[position] ^= 0x10
    return bytes(octets)


def texts(*values: bytes) -> bytes:
    """A feature that is a list of bytes."""
    return _field(1, b"".join(_field(1, value) for value in values))


def numbers(*values: int) -> bytes:
    """A feature that is a packed list of integers."""
    return _field(3, _field(1, b"".join(map(_varint, values))))


def floats(*chunks: Audio) -> bytes:
    """A feature that is a list of floats, packed in as many chunks as there are."""
    return _field(2, b"".join(_field(1, chunk.astype("<f4").tobytes()) for chunk in chunks))


def unpacked_floats(values: Audio) -> bytes:
    """A feature that is a list of floats, each with its own tag."""
    tag = _varint(1 << 3 | 5)
    return _field(2, b"".join(tag + struct.pack("<f", value) for value in values.tolist()))


def example(**features: bytes | None) -> bytes:
    """A tf.train.Example; a feature that is None is left out."""
    entries = [
        _field(1, _field(1, name.encode()) + _field(2, feature))
        for name, feature in features.items()
        if feature is not None
    ]
    return _field(1, b"".join(entries))


def sound(number: int, *, num_samples: int = NUM_SAMPLES) -> Audio:
    """A decaying tone in noise; another for each number."""
    rng = np.random.default_rng(number)
    seconds = np.arange(num_samples) / SAMPLE_RATE_HZ
    tone = np.sin(2 * np.pi * (110 + 10 * number) * seconds) * np.exp(-seconds)
    return (0.6 * tone + 0.1 * rng.uniform(-1, 1, num_samples)).astype(np.float32)


def note(number: int = 0, **changes: bytes | None) -> bytes:
    """A sound note's example; another for each number.

    Args:
      changes: encoded features that take the place of its own, None for those left out.
    """
    family, pitch = CLASSES[number % len(CLASSES)], 20 + number % 100
    instrument = f"{family}_acoustic_{number:03d}"
    return example(
        **{
            "note_str": texts(f"{instrument}-{pitch:03d}-100".encode()),
            "note": numbers(number),
            "instrument": numbers(number),
            "instrument_str": texts(instrument.encode()),
            "pitch": numbers(pitch),
            "velocity": numbers(100),
            "sample_rate": numbers(SAMPLE_RATE_HZ),
            "audio": floats(sound(number)) if "audio" not in changes else None,
            "qualities": numbers(1, *[0] * 9),
            "qualities_str": texts(b"bright"),
            "instrument_family": numbers(FAMILIES.index(family)),
            "instrument_family_str": texts(family.encode()),
            "instrument_source": numbers(0),
            "instrument_source_str": texts(b"acoustic"),
        }
        | changes
    )


def tfds_note(number: int = 0, changes: Mapping[str, bytes | None] = MappingProxyType({})) -> bytes:
    """The same note as TensorFlow Datasets' builder `nsynth` writes it, with f0 and loudness."""
    family, pitch = CLASSES[number % len(CLASSES)], 20 + number % 100
    frames = np.linspace(0, 1, 1000, dtype=np.float32)
    return example(
        **{
            "audio": floats(sound(number)) if "audio" not in changes else None,
            "f0/confidence": floats(frames),
            "f0/hz": floats(frames),
            "f0/midi": floats(frames),
            "id": texts(f"{family}_acoustic_{number:03d}-{pitch:03d}-100".encode()),
            "instrument/family": numbers(FAMILIES.index(family)),
            "instrument/label": numbers(7),
            "instrument/source": numbers(0),
            "loudness/db": floats(frames),
            "pitch": numbers(pitch),
            "velocity": numbers(100),
        }
        | {f"qualities/{quality}": numbers(int(quality == "bright")) for quality in QUALITIES}
        | dict(changes)
    )


def reader(data: bytes) -> Callable[[int, int], bytes]:
    """Reads ranges of bytes in memory as `Window` wants it."""
    return lambda start, end: data[start:end]


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    groups: Sequence[int] = [value >> shift & 0x7F for shift in range(0, 64, 7)]
    used = max((i for i, group in enumerate(groups) if group), default=0) + 1
    return bytes([*(group | 0x80 for group in groups[: used - 1]), groups[used - 1]])
