import struct

import google_crc32c
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES, length_crcs, masked_crc, slice_crcs


def test_masked_crc_is_the_one_of_the_format() -> None:
    # Source: the check value of CRC-32C, 0xE3069283, and the masking of the format's description.
    crc = 0xE3069283
    assert masked_crc(b"123456789") == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def test_length_crcs_equal_google_crc32c() -> None:
    rng = np.random.default_rng(0)
    lengths = np.append(rng.integers(0, 2**32, 2000, np.uint32), [0, 1, 2**24, 2**32 - 1])
    lengths = lengths.astype(np.uint32)
    expected = [masked_crc(struct.pack("<Q", int(length))) for length in lengths]
    assert length_crcs(lengths).tolist() == expected
    assert google_crc32c.value(struct.pack("<Q", 0)) == 0x8C28B28A


def test_length_crcs_are_never_zero_for_a_believable_length() -> None:
    # The scan skips candidates with checksum zero, so that holes of zeros cost nothing.
    lengths = np.arange(MAX_RECORD_BYTES + 1, dtype=np.uint32)
    assert length_crcs(lengths).all()


@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200))))
def test_slice_crcs_equal_those_of_the_slices(data: bytes, pairs: list[tuple[int, int]]) -> None:
    slices = [sorted(min(place, len(data)) for place in pair) for pair in pairs]
    starts, ends = np.array(slices, np.int64).reshape(-1, 2).T
    expected = [masked_crc(data[start:end]) for start, end in slices]
    assert slice_crcs(data, starts, ends).tolist() == expected


def test_slice_crcs_of_long_slices_equal_those_of_the_slices() -> None:
    data = np.random.default_rng(0).bytes(MAX_RECORD_BYTES + 1000)
    starts = np.array([0, 1, 1000, 999])
    ends = np.array([len(data), len(data) - 1, 1000 + 2**23, 1000])
    expected = [masked_crc(data[start:end]) for start, end in zip(starts, ends, strict=True)]
    assert slice_crcs(data, starts, ends).tolist() == expected
