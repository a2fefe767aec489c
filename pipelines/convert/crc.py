"""CRC-32C as TFRecord uses it: masked, of lengths by the thousand, and of slices of one buffer.

Pure arithmetic; knows nothing of records. A CRC is linear over XOR, which is all that is used here.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details, and for
the checksum of two parts put together, crc32_combine of zlib.
"""

from typing import Any, Final

import google_crc32c
import numpy as np
from numpy.typing import NDArray

_MASK_DELTA: Final = 0xA282EAD8
_LENGTH_BITS: Final = 32
"""Slices are shorter than 2**32 bytes."""


def masked_crc(data: bytes) -> int:
    """The checksum that a TFRecord stores of `data`."""
    crc = google_crc32c.value(data)
    return int(((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)


def length_crcs(lengths: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The masked checksums of lengths below 2**32, as 8 bytes each."""
    return _masked(_CRC_OF_ZERO ^ _applied(_LENGTH_TABLES, lengths))


def slice_crcs(
    data: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.uint32]:
    """The masked checksum of each `data[start:end]`.

    The data is gone through once, however many slices there are and however much they overlap.
    """
    borders, places = np.unique(np.concatenate([starts, ends]), return_inverse=True)
    crcs, crc, at = np.empty(len(borders), np.uint32), 0, 0
    for number, border in enumerate(borders.tolist()):
        crc = google_crc32c.extend(crc, data[at:border])
        crcs[number], at = crc, border
    before, whole = crcs[places[: len(starts)]], crcs[places[len(starts) :]]
    return _masked(whole ^ _behind_zeros(before, (ends - starts).astype(np.uint32)))


def _masked(crcs: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (crcs >> np.uint32(15) | crcs << np.uint32(17)) + np.uint32(_MASK_DELTA)


def _behind_zeros(crcs: NDArray[np.uint32], nums: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """What is left of each checksum in that of the same data and `num` bytes more."""
    crcs = crcs.copy()
    for bit, tables in enumerate(_ZEROS_TABLES):
        chosen = nums >> np.uint32(bit) & np.uint32(1) == 1
        crcs[chosen] = _applied(tables, crcs[chosen])
    return crcs


def _applied(tables: NDArray[np.uint32], values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A linear map of 32 bits, given as what it makes of each byte in each of four places."""
    result = np.zeros(values.shape, np.uint32)
    for position, table in enumerate(tables):
        result ^= table[values >> np.uint32(8 * position) & np.uint32(0xFF)]
    return result


def _tables(linear: Any) -> NDArray[np.uint32]:
    """The tables of a linear map, uint32 [4, 256]."""
    return np.array(
        [[linear(byte << 8 * position) for byte in range(256)] for position in range(4)], np.uint32
    )


def _zeros_tables() -> list[NDArray[np.uint32]]:
    """The maps that 1, 2, 4, 8 ... bytes make of the checksum before them."""
    one = _tables(lambda crc: google_crc32c.extend(crc, b"\0") ^ google_crc32c.value(b"\0"))
    maps = [one]
    while len(maps) < _LENGTH_BITS:
        # A map applied to its own tables is the map twice.
        maps.append(_applied(maps[-1], maps[-1]))
    return maps


_CRC_OF_ZERO: Final = np.uint32(google_crc32c.value(bytes(8)))
_LENGTH_TABLES: Final = _tables(
    lambda length: google_crc32c.value(length.to_bytes(8, "little")) ^ int(_CRC_OF_ZERO)
)
_ZEROS_TABLES: Final = _zeros_tables()
