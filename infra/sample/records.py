"""Features become the bytes of a TFRecord file.

The protocol buffer's wire form is written directly: every field of tf.train.Example, down to the
packed lists, is length-delimited, so one function says it all.

Source: tensorflow/core/example/feature.proto and tensorflow/core/lib/io/record_writer.h.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from pipelines.convert.formats.tfrecord import masked_crc

Values = list[int] | list[bytes] | NDArray[np.float32]
# The features of one tf.train.Example; the type of the values says which list holds them.
Features = dict[str, Values]

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def example(features: Features) -> bytes:
    """Serialise a tf.train.Example, its features in the order of their names."""
    entries = [
        _field(1, _field(1, name.encode()), _field(2, _feature(features[name])))
        for name in sorted(features)
    ]
    return _field(1, *entries)


def header(length: int) -> bytes:
    """Return the first twelve bytes of a record with a payload of `length` bytes."""
    data = struct.pack("<Q", length)
    return data + _masked_crc(data)


def frame(payload: bytes) -> bytes:
    """Frame a payload as a record: its length, its content, and a checksum after each."""
    return b"".join((header(len(payload)), payload, _masked_crc(payload)))


def _feature(values: Values) -> bytes:
    if isinstance(values, np.ndarray):
        return _field(_FLOAT_LIST, _field(1, values.astype("<f4").tobytes()))
    if values and isinstance(values[0], int):
        return _field(_INT64_LIST, _field(1, *(_varint(int(value)) for value in values)))
    return _field(_BYTES_LIST, *(_field(1, bytes(value)) for value in values))


def _field(number: int, *parts: bytes) -> bytes:
    """Encode a length-delimited field (wire type 2) that holds the parts one after another."""
    content = b"".join(parts)
    return b"".join((_varint(number << 3 | 2), _varint(len(content)), content))


def _varint(value: int) -> bytes:
    """Encode groups of seven bits, the lowest first; all but the last have the high bit set."""
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def _masked_crc(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc(data))
