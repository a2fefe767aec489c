"""Reasons for which records and bytes of a source are set aside; docs/data.md explains each."""

from enum import StrEnum


class Reason(StrEnum):
    """One reason; its value is stored in the quarantine."""

    # Bytes outside valid records: the first thing wrong where the reader lost its place.
    LENGTH_CRC = "length_crc"
    PAYLOAD_CRC = "payload_crc"
    TRUNCATED = "truncated"
    RECORD_TOO_LONG = "record_too_long"
    GZIP_CORRUPT = "gzip_corrupt"
    GZIP_TRUNCATED = "gzip_truncated"

    # Valid records and entries that cannot become a note.
    UNPARSABLE = "unparsable"
    MISSING_FEATURE = "missing_feature"
    WRONG_TYPE = "wrong_type"
    WRONG_LENGTH = "wrong_length"
    NOT_TEXT = "not_text"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"

    # Only of the json + wav form.
    NO_METADATA = "no_metadata"
    MISSING_WAV = "missing_wav"
    NOT_WAV = "not_wav"
    WAV_FORMAT = "wav_format"
