"""Predictions for tests, as a table: notes that cluster by instrument, drawn from a seed."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from pipelines.evaluate.predictions import EVALUATION_VERSION, STAMP_KEY, Predictions, from_table
from pipelines.notes import CLASSES, SOURCES

VELOCITIES = (25, 50, 75, 100, 127)


def table_of(probabilities: NDArray[np.float32], label: ArrayLike, **columns: Any) -> pa.Table:
    """A predictions table; what is not given is a sound note of an instrument for each label.

    Args:
      probabilities: float32 [num_notes, num_classes].
      label: [num_notes].
    """
    num, label = len(probabilities), np.asarray(label, np.int64)
    given = {
        "row": np.arange(num),
        "note_str": [f"note-{i:05d}" for i in range(num)],
        "instrument": label,
        "instrument_str": [f"instrument-{i:03d}" for i in label],
        "instrument_source": np.zeros(num, np.int64),
        "instrument_source_str": ["acoustic"] * num,
        "instrument_seen": np.ones(num, bool),
        "pitch": np.full(num, 60),
        "velocity": np.full(num, 100),
        "audio_digest": [f"digest-{i:05d}" for i in range(num)],
        "label": label,
        "predicted": probabilities.argmax(axis=1),
        "verdict": pa.nulls(num, pa.string()),
        "fold": pa.nulls(num, pa.int64()),
        "probabilities": pa.FixedSizeListArray.from_arrays(
            pa.array(probabilities.ravel(), pa.float32()), probabilities.shape[1]
        ),
    }
    stamp = json.dumps({"evaluation_version": EVALUATION_VERSION, "model": "a digest"})
    return pa.table(given | columns).replace_schema_metadata({STAMP_KEY: stamp})


def certain(predicted: ArrayLike, num_classes: int = len(CLASSES)) -> NDArray[np.float32]:
    """Probabilities of a model that is sure of what it predicts, float32 [num_notes, classes]."""
    sure: NDArray[np.float32] = np.eye(num_classes, dtype=np.float32)[np.asarray(predicted)]
    return sure


def drawn_table(
    num_notes: int = 400,
    *,
    num_instruments: int = 20,
    strength: float = 2.0,
    seed: int = 0,
    model_seed: int = 0,
    **columns: Any,
) -> pa.Table:
    """A drawn table with every property that slices tell apart.

    Args:
      strength: how much the true class stands out of the noise in the logits.
      seed: of the notes.
      model_seed: of the answers.
    """
    rng = np.random.default_rng(seed)
    instrument = np.sort(rng.integers(0, num_instruments, num_notes))
    label = instrument % len(CLASSES)
    source = instrument // 3 % len(SOURCES)
    of_note: dict[str, Any] = {
        "instrument": instrument,
        "instrument_str": [f"{CLASSES[k]}_{i:03d}" for k, i in zip(label, instrument, strict=True)],
        "instrument_source": source,
        "instrument_source_str": [SOURCES[which] for which in source],
        "instrument_seen": instrument % 2 == 0,
        "pitch": rng.integers(20, 108, num_notes),
        "velocity": rng.choice(VELOCITIES, num_notes),
        "verdict": pa.array([None if kept else "silent" for kept in rng.random(num_notes) < 0.95]),
    }
    answers = np.random.default_rng(1_000 + model_seed)
    logits = answers.normal(size=(num_notes, len(CLASSES)))
    liked = answers.normal(strength, 1.5, num_instruments)
    logits[np.arange(num_notes), label] += liked[instrument]
    shares = np.exp(logits)
    probabilities = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    return table_of(probabilities, label, **of_note | columns)


def drawn(num_notes: int = 400, **given: Any) -> Predictions:
    """`drawn_table` as arrays."""
    return from_table(drawn_table(num_notes, **given))
