"""Data sets for tests, put together from rows, without a source or a conversion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.convert.commit.manifest import Account, make_manifest
from pipelines.convert.formats.tfrecord import Position
from pipelines.convert.reading.sources import Source
from pipelines.convert.shards.plan import Parameters, Plan
from pipelines.convert.shards.shard import (
    ShardSummary,
    add_summary,
    notes_digest,
    samples_digest,
    to_table,
)
from pipelines.notes import CLASSES, FAMILIES, NUM_SAMPLES
from pipelines.parquet import encode

_RECORD_BYTES = 256_400

Row = dict[str, Any]


def row(number: int, **changes: Any) -> Row:
    """The scalar columns of a sound note; another for each number."""
    family, pitch = CLASSES[number % len(CLASSES)], 20 + number % 100
    instrument = f"{family}_acoustic_{number:03d}"
    return {
        "note_str": f"{instrument}-{pitch:03d}-100",
        "note": number,
        "instrument": number,
        "instrument_str": instrument,
        "pitch": pitch,
        "velocity": 100,
        "sample_rate": 16_000,
        "qualities": [0] * 10,
        "qualities_str": [],
        "instrument_family": FAMILIES.index(family),
        "instrument_family_str": family,
        "instrument_source": 0,
        "instrument_source_str": "acoustic",
        "peak": 0.9,
        "rms": 0.1,
        "audio_digest": f"digest of {number}",
        "source_file": "notes.tfrecord",
        "source_offset": number * _RECORD_BYTES,
    } | changes


def samples(num: int) -> NDArray[np.float32]:
    """float32 [num, 8000], each note's samples all its place in the data set."""
    return np.repeat(np.arange(num, dtype=np.float32)[:, np.newaxis], NUM_SAMPLES, axis=1)


def store(
    folder: Path,
    rows: Sequence[Row],
    *,
    notes_per_shard: int,
    file_name: str = "notes.tfrecord",
    audio: NDArray[np.float32] | None = None,
) -> str:
    """Stores rows as a committed data set, with `samples` unless others are given.

    Returns:
      The URI of its manifest.
    """
    (folder / "data").mkdir(parents=True)
    audio = samples(len(rows)) if audio is None else audio
    shards = list[ShardSummary]()
    for begin in range(0, len(rows), notes_per_shard):
        end = min(begin + notes_per_shard, len(rows))
        table = to_table(rows[begin:end], audio[begin:end])
        shard = ShardSummary(
            file=0,
            begin=begin * _RECORD_BYTES,
            end=end * _RECORD_BYTES,
            entry=Position(begin * _RECORD_BYTES, synced=begin == 0),
            first_header=begin * _RECORD_BYTES,
            exit=Position(end * _RECORD_BYTES, synced=True),
            num_notes=end - begin,
            record_bytes=(end - begin) * _RECORD_BYTES,
            spans=(),
            quarantined={},
            quarantine_digest="",
            notes_digest=notes_digest(table),
            samples_digest=samples_digest(table),
        )
        (folder / "data" / shard.name).write_bytes(encode(add_summary(table, shard)))
        shards.append(shard)
    size = len(rows) * _RECORD_BYTES
    plan = Plan(
        dataset_id=folder.name,
        folder=str(folder),
        sources=(Source(file_name, f"/nowhere/{file_name}", size, "1"),),
        parameters=Parameters(notes_per_shard * _RECORD_BYTES, num_samples=audio.shape[1]),
    )
    manifest = make_manifest(plan, shards, [Account(size, size, ())])
    (folder / "manifest.json").write_text(manifest.to_json())
    return plan.manifest_uri
