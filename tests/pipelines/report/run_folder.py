"""A small run folder as training and evaluation leave it, with predictions drawn from a seed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.errors import ShardError
from pipelines.evaluate.predictions import from_table
from pipelines.evaluate.scores import summarise
from pipelines.evaluate.stored import store_metrics
from pipelines.experiment import Experiment
from pipelines.notes import CLASSES, NUM_SAMPLES, stored_rate_hz
from pipelines.registry.runs import ModelRecord, RunRecord, store_run
from pipelines.validate.verdicts import Validation
from tests.pipelines.evaluate.tables import table_of
from tests.pipelines.registry.training import TRAINING

TEN = tuple(CLASSES)

PRELIMINARY_LAYERS = (
    ("Conv1D", (7999, 64), 192),
    ("Conv1D", (7998, 64), 8256),
    ("GlobalAveragePooling1D", (64,), 0),
    ("Dense", (10,), 650),
)


def write_run(
    folder: Path,
    *,
    models: Mapping[str, float] = {"preliminary": 1.0, "tiny": 4.0},
    families: Sequence[str] = TEN,
    num_notes: int = 60,
    num_dropped: int = 3,
    note_str: str = "{family}_acoustic_{i:03d}-060-100",
    manifest_uri: str = "gone/manifest.json",
    manifest_digest: str = "c0ffee",
) -> str:
    """Writes the run and returns its URI.

    Args:
      models: by name, how much the true class stands out of the noise in a model's logits.
      num_dropped: of the notes, those at the end that validation dropped.
      note_str: pattern of a note's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = (num_notes, num_dropped, note_str)
    for place, data in model_files(tuple(models.items()), tuple(families), shape).items():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_bytes(data)
    label = np.arange(num_notes) % len(families)
    kept = np.arange(num_notes) < num_notes - num_dropped
    test = Validation(
        manifest_uri=manifest_uri,
        manifest_digest=manifest_digest,
        verdict_digest="decade",
        uri="root/notes/beef/validation/decade",
        num_seen=num_notes,
        num_kept=num_notes - num_dropped,
        num_quarantined=1,
        dropped={"silent": num_dropped},
        families={f: int((label[kept] == k).sum()) for k, f in enumerate(families)},
        official="60 records, where the official test split has 4,096: this is not that split.",
    )
    store_run(_record(models, families, test), str(folder))
    return str(folder)


@cache
def model_files(
    models: tuple[tuple[str, float], ...], families: tuple[str, ...], shape: tuple[int, int, str]
) -> Mapping[str, bytes]:
    """The files of the models, which take the time that a run takes to write."""
    num_notes, num_dropped, note_str = shape
    rng = np.random.default_rng(7)
    label = np.arange(num_notes) % len(families)
    names = [note_str.format(family=families[int(k)], i=i) for i, k in enumerate(label)]
    kept = np.arange(num_notes) < num_notes - num_dropped
    with TemporaryDirectory() as folder:
        for name, strength in models:
            logits = rng.normal(size=(num_notes, len(families)))
            logits[np.arange(num_notes), label] += strength
            shares = np.exp(logits)
            write_model(
                Path(folder, name),
                families,
                label=label,
                names=names,
                kept=kept,
                probabilities=(shares / shares.sum(axis=1, keepdims=True)).astype(np.float32),
            )
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def write_model(
    folder: Path,
    families: Sequence[str],
    *,
    label: NDArray[np.int64],
    names: Sequence[str],
    kept: NDArray[np.bool_],
    probabilities: NDArray[np.float32],
) -> None:
    """Writes one model's history, predictions and metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    epochs = np.arange(1, 5)
    history = {
        "epoch": epochs.tolist(),
        "loss": (2 / epochs).tolist(),
        "accuracy": (1 - 0.8 / epochs).tolist(),
        "val_loss": (2.2 / epochs).tolist(),
        "val_accuracy": (1 - 0.9 / epochs).tolist(),
        "seconds": [20.0, 19.5, 19.5, 19.5],
    }
    _write_json(folder / "history.json", history)
    table = table_of(
        probabilities,
        label,
        # Rows without a usable label are not scored: the rows scored have gaps.
        row=np.arange(len(label)) * 2,
        note_str=list(names),
        instrument_str=[name.rsplit("-", 2)[0] for name in names],
        instrument_seen=np.arange(len(label)) % 3 > 0,
        verdict=pa.array([None if k else "silent" for k in kept], pa.string()),
    )
    pq.write_table(table, folder / "predictions.parquet")
    figures = summarise(from_table(table), families)
    store_metrics(str(folder), figures, model=folder.name, num_parameters=9098)


def no_audio(rows: Sequence[int]) -> NDArray[np.float32]:
    """For a page whose data set is gone, which is built in a fraction of the time."""
    raise ShardError(f"part-00000.parquet is missing ({len(rows)} rows)")


def audio_of(rows: Sequence[int]) -> NDArray[np.float32]:
    """A decaying tone a row, [len(rows), 8000]; its pitch tells the row."""
    seconds = np.arange(NUM_SAMPLES) / stored_rate_hz(NUM_SAMPLES)
    tones = [np.sin(2 * np.pi * (40 + row) * seconds) * np.exp(-seconds) for row in rows]
    return np.array(tones, np.float32).reshape(len(rows), NUM_SAMPLES)


def _record(models: Iterable[str], families: Sequence[str], test: Validation) -> RunRecord:
    train = replace(
        test,
        manifest_digest="facade",
        num_seen=2_011,
        num_kept=2_000,
        dropped={"synth_lead": 10, "leaked": 1},
        families=dict.fromkeys(families, 2_000 // len(families)),
        official="",
    )
    return RunRecord(
        run_id="a1b2c3d4",
        training_version=1,
        experiment=Experiment(epochs=4, seed=7),
        backend="tensorflow",
        device="a device",
        versions={"python": "3.11.9", "keras": "3.15.0"},
        git=None,
        families=tuple(families),
        datasets={"train": train, "test": test},
        models={name: ModelRecord(9098, PRELIMINARY_LAYERS, (TRAINING,)) for name in models},
        created="2026-11-23T01:02:03+00:00",
        seconds=3_725.0,
    )


def _write_json(path: Path, record: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(record), "utf-8")
