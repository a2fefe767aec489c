"""The columns of a note as shards store them, in Arrow's types.

Apart from `pipelines.notes`, so that the commands show their help without Arrow and NumPy.
"""

from typing import Final

import pyarrow as pa

from pipelines.notes import NUM_SAMPLES, number_text, stored_rate_hz

# All columns of a note but its samples. `peak`, `rms` and `audio_digest` are of the original
# samples; `source_file` and `source_offset` give the position of the record's header or, if a
# source has no records, the number of the note in it, from 0.
SCALAR_FIELDS: Final = (
    pa.field("note_str", pa.string(), nullable=False),
    pa.field("note", pa.int64(), nullable=False),
    pa.field("instrument", pa.int64(), nullable=False),
    pa.field("instrument_str", pa.string(), nullable=False),
    pa.field("pitch", pa.int64(), nullable=False),
    pa.field("velocity", pa.int64(), nullable=False),
    pa.field("sample_rate", pa.int64(), nullable=False),
    pa.field("qualities", pa.list_(pa.field("element", pa.int64(), nullable=False), 10)),
    pa.field("qualities_str", pa.list_(pa.field("element", pa.string(), nullable=False))),
    pa.field("instrument_family", pa.int64(), nullable=False),
    pa.field("instrument_family_str", pa.string(), nullable=False),
    pa.field("instrument_source", pa.int64(), nullable=False),
    pa.field("instrument_source_str", pa.string(), nullable=False),
    pa.field("peak", pa.float32(), nullable=False),
    pa.field("rms", pa.float32(), nullable=False),
    pa.field("audio_digest", pa.string(), nullable=False),
    pa.field("source_file", pa.string(), nullable=False),
    pa.field("source_offset", pa.int64(), nullable=False),
)

SCALAR_COLUMNS: Final = tuple(field.name for field in SCALAR_FIELDS)


def audio_field(num_samples: int) -> pa.Field:
    """Return the field of the samples: a list of fixed length, with its rate in the metadata."""
    return pa.field(
        "audio",
        pa.list_(pa.field("element", pa.float32(), nullable=False), num_samples),
        nullable=False,
        metadata={
            "num_samples": str(num_samples),
            "sample_rate_hz": number_text(stored_rate_hz(num_samples)),
        },
    )


def schema(num_samples: int) -> pa.Schema:
    """Return the schema of shards whose notes keep `num_samples` samples."""
    return pa.schema([*SCALAR_FIELDS, audio_field(num_samples)])


# Of the default length; its scalar columns are those of every length.
SCHEMA: Final = schema(NUM_SAMPLES)
