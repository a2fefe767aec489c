"""Committed data sets of a few notes, made without a conversion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.commit.manifest import Account, make_manifest
from pipelines.convert.formats.tfrecord import Position
from pipelines.convert.reading.sources import Source
from pipelines.convert.shards.plan import Parameters, Plan, shard_uri
from pipelines.convert.shards.shard import (
    ShardSummary,
    add_summary,
    notes_digest,
    samples_digest,
    to_table,
)
from pipelines.notes import FAMILIES, NUM_SAMPLES, QUALITIES, SAMPLE_RATE_HZ
from pipelines.parquet import encode
from pipelines.train.selection.notes import training_notes
from pipelines.train.selection.run_notes import load_run_notes
from pipelines.train.selection.run_plan import RunPlan, Training

NUM_BYTES = 1000


def training_rows(plan: RunPlan, fold: int | None = None) -> tuple[NDArray[np.int64], ...]:
    """Return the rows that train and that validate."""
    training = Training(plan, plan.experiment.models[0], fold)
    return tuple(notes["row"].to_numpy() for notes in training_notes(training))


def training_reasons(plan: RunPlan, dataset: str = "train") -> list[str | None]:
    """Return why each note of a data set is dropped."""
    notes = load_run_notes(plan.uri).to_pylist()
    return [note["reason"] for note in notes if note["dataset"] == dataset]


def commit_notes(
    root: Path, name: str, named: Sequence[tuple[int, str]], *, num_samples: int = NUM_SAMPLES
) -> str:
    """Commits a data set in one shard.

    Args:
      named: number and family of each note; the same two give the same note, samples included.
      num_samples: samples to keep per note, the first of each.

    Returns:
      The URI of the manifest.
    """
    originals = np.stack([tone(*note) for note in named])
    audio = np.ascontiguousarray(originals[:, :num_samples])
    notes = [
        _scalars(*note, samples=samples, offset=row)
        for row, (note, samples) in enumerate(zip(named, originals, strict=True))
    ]
    folder = str(root / "notes" / name)
    source = Source(f"{name}.tfrecord", f"{folder}/{name}.tfrecord", NUM_BYTES, "0")
    plan = Plan(name, folder, (source,), Parameters(num_samples=num_samples))
    table = to_table(notes, audio)
    summary = ShardSummary(
        file=0,
        begin=0,
        end=NUM_BYTES,
        entry=Position(0, synced=True),
        first_header=0,
        exit=Position(NUM_BYTES, synced=True),
        num_notes=len(notes),
        record_bytes=NUM_BYTES,
        spans=(),
        quarantined={},
        quarantine_digest="",
        notes_digest=notes_digest(table),
        samples_digest=samples_digest(table),
    )
    storage.put(shard_uri(folder, summary.name), encode(add_summary(table, summary)))
    manifest = make_manifest(plan, [summary], [Account(NUM_BYTES, NUM_BYTES, ())])
    storage.put(plan.manifest_uri, manifest.to_json().encode())
    return plan.manifest_uri


def tone(number: int, family: str) -> NDArray[np.float32]:
    """Samples [8000] whose pitch tells the family, and whose noise tells the number."""
    noise = np.random.default_rng(number).normal(0, 0.05, NUM_SAMPLES)
    phase = np.arange(NUM_SAMPLES) * (FAMILIES.index(family) + 1) * 0.2
    return np.asarray(0.5 * np.sin(phase) + noise, np.float32)


def _scalars(
    number: int, family: str, *, samples: NDArray[np.float32], offset: int
) -> dict[str, Any]:
    instrument, pitch = f"{family}_acoustic_{number:03d}", 20 + number % 80
    return {
        "note_str": f"{instrument}-{pitch:03d}-100",
        "note": number,
        "instrument": number,
        "instrument_str": instrument,
        "pitch": pitch,
        "velocity": 100,
        "sample_rate": SAMPLE_RATE_HZ,
        "qualities": [0] * len(QUALITIES),
        "qualities_str": [],
        "instrument_family": FAMILIES.index(family),
        "instrument_family_str": family,
        "instrument_source": 0,
        "instrument_source_str": "acoustic",
        "peak": float(np.abs(samples).max()),
        "rms": float(np.sqrt(np.mean(samples**2))),
        "audio_digest": xxhash.xxh3_128_hexdigest(samples.data),
        "source_file": "tiny.tfrecord",
        "source_offset": offset,
    }
