"""What a longer note costs a run's models in training time, measured once and kept with the run."""

import json
import logging
from typing import Any

import numpy as np

from pipelines import storage
from pipelines.analysis.growth import growth
from pipelines.analysis.stored import COST_FILE, COST_FORMAT, load_cost
from pipelines.dataset import open_dataset
from pipelines.decisions import decided
from pipelines.train.backend import device
from pipelines.train.cost import LENGTHS, MAX_BATCH, step_seconds
from pipelines.train.data import training_rows
from pipelines.train.plan import RunPlan
from pipelines.train.split import labels_of

log = logging.getLogger(__name__)


def measure_cost(plan: RunPlan, *, force: bool = False) -> dict[str, Any]:
    """Times a training step of each model of a run at several lengths of its own notes.

    Args:
      force: measure again although the times are there.

    Returns:
      The content of cost.json.
    """
    uri = storage.join(plan.uri, COST_FILE)
    stored = None if force else load_cost(plan.uri)
    if stored is not None and stored["of"] == plan.run_id:
        why = f"{uri} has what a longer note costs the models of run {plan.run_id}"
        decided(log, "analyse", plan.run_id, "reused", why)
        return stored
    span = f"{LENGTHS[0]:,} to {LENGTHS[-1]:,} samples"
    why = f"timing training steps of run {plan.run_id} on notes of {span}"
    decided(log, "analyse", plan.run_id, "ran", why)
    rows, _ = training_rows(plan, plan.folds[0])
    rows = rows[: min(plan.experiment.batch_size, MAX_BATCH)]
    dataset = open_dataset(plan.train.manifest_uri)
    audio = dataset.audio(rows.tolist())
    labels = labels_of(dataset.read(["instrument_family"])["instrument_family"].to_numpy()[rows])
    content = {
        "format_version": COST_FORMAT,
        "of": plan.run_id,
        "device": device(),
        "batch_size": len(rows),
        "lengths": list(LENGTHS),
        "models": {
            name: _measured(step_seconds(name, plan.experiment, audio, labels))
            for name in plan.experiment.models
        },
    }
    storage.put(uri, (json.dumps(content, indent=1) + "\n").encode())
    return content


def _measured(rounds: list[list[float]]) -> dict[str, Any]:
    """One model's part of cost.json: its exponent, and seconds of a step by round and length."""
    found = growth(LENGTHS, rounds)
    ends = None if found.interval is None else list(found.interval)
    seconds = np.round(rounds, 6).tolist()
    return {"exponent": found.exponent, "interval": ends, "seconds": seconds}
