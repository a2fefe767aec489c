"""A root with a gate and with runs whose answers to it are given, so that nothing has to train."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pipelines import storage
from pipelines.evaluate.predictions import EVALUATION_VERSION, STAMP_KEY, predictions_table
from pipelines.experiment import Experiment
from pipelines.notes import CLASSES
from pipelines.parquet import encode
from pipelines.promotion.promote import promote
from pipelines.promotion.stored import Promotion
from pipelines.registry.holdout import Holdout, freeze_holdout
from pipelines.registry.runs import ModelRecord, RunRecord, store_run
from pipelines.train.selection.run_notes import RUN_NOTES_SCHEMA, store_run_notes
from pipelines.train.selection.split import class_labels
from pipelines.validate.verdicts import Validation, validate
from tests.pipelines.registry.training import TRAINING
from tests.pipelines.train.tiny import commit_notes, tone

MODEL = "preliminary"
FAMILIES = ("bass", "organ", "vocal")
# Each note is of an instrument of its own; the first 60 are the gate.
NOTES = [(number, family) for number in range(30) for family in FAMILIES]
NUM_GATED = 60


@dataclass(frozen=True)
class Stage:
    """A root, its gate, and the data set that both training and gate come from."""

    root: str
    gate: Holdout
    train: Validation
    cache: Path

    def run(
        self,
        run_id: str,
        *,
        wrong: Collection[int] = (),
        trains: Sequence[int] = range(NUM_GATED, len(NOTES)),
        validates: Sequence[int] = (),
        protocol: str = "reference",
        train: Validation | None = None,
    ) -> str:
        """Stores a complete run of one model; returns its URI.

        Args:
          wrong: notes of the gate that the model has wrong.
          trains: rows that it trained on.
          validates: rows that it was validated with.
        """
        uri = storage.join(storage.absolute(self.root), "runs", run_id)
        sha = f"sha-of-{run_id}"
        store_run(
            RunRecord(
                run_id=run_id,
                training_version=2,
                experiment=Experiment(models=(MODEL,), protocol=protocol),
                backend="tensorflow",
                device="cpu",
                versions={},
                git=None,
                families=CLASSES,
                datasets={"train": train or self.train},
                models={MODEL: ModelRecord(9098, (), (replace(TRAINING, model_sha256=sha),))},
                created="2026-11-25T00:00:00+00:00",
                seconds=1.0,
            ),
            uri,
        )
        store_run_notes(uri, _notes(trains, validates))
        place = storage.join(self.gate.uri, "predictions", f"{sha}.parquet")
        storage.put(place, encode(_answers(self.gate, wrong, sha)))
        return uri

    def promote(self, run_uri: str, **how: Any) -> Promotion:
        """Asks for promotion of the run's model."""
        return promote(run_uri, MODEL, root=self.root, cache_dir=self.cache, **how)


def make_stage(root: str, folder: Path) -> Stage:
    """Freezes the gate of an empty root.

    Args:
      folder: of this machine, for the data set.
    """
    manifest = commit_notes(folder / "data", "train", NOTES)
    gate = freeze_holdout(root, manifest, np.arange(NUM_GATED), holds_instruments=False)
    return Stage(root, gate, validate(manifest), folder / "cache")


def _notes(trains: Sequence[int], validates: Sequence[int]) -> pa.Table:
    rows = [*trains, *validates]
    return pa.table(
        {
            "dataset": ["train"] * len(rows),
            "row": rows,
            "note_str": [""] * len(rows),
            "instrument_str": [f"{NOTES[row][1]}_acoustic_{NOTES[row][0]:03d}" for row in rows],
            "audio_digest": [xxhash.xxh3_128_hexdigest(tone(*NOTES[row]).data) for row in rows],
            "label": pa.nulls(len(rows), pa.int64()),
            "part": ["train"] * len(trains) + ["valid"] * len(validates),
            "fold": pa.nulls(len(rows), pa.int64()),
            "reason": pa.nulls(len(rows), pa.string()),
        },
        schema=RUN_NOTES_SCHEMA,
    )


def _answers(gate: Holdout, wrong: Collection[int], sha: str) -> pa.Table:
    notes, num = gate.notes, gate.notes.num_rows
    label = class_labels(notes["instrument_family"].to_numpy())
    predicted = np.where(np.isin(np.arange(num), list(wrong)), (label + 1) % len(CLASSES), label)
    stamp = {"evaluation_version": EVALUATION_VERSION, "models": [sha]}
    given = (
        notes.append_column("label", [label])
        .append_column("instrument_seen", pa.array(np.zeros(num, bool)))
        .append_column("verdict", pa.nulls(num, pa.string()))
        .append_column("fold", pa.nulls(num, pa.int64()))
    )
    table = predictions_table(given, np.eye(len(CLASSES), dtype=np.float32)[predicted])
    return table.replace_schema_metadata({STAMP_KEY: json.dumps(stamp)})
