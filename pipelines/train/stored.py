"""What a run has stored of a model, found again only where it is whole."""

import hashlib
import logging
from collections.abc import Sequence

import pyarrow as pa

from pipelines import storage
from pipelines.errors import DatasetError, FormatError, PipelineError
from pipelines.evaluate.predictions import from_table, read_predictions, read_stamp
from pipelines.notes import CLASSES
from pipelines.records import to_json
from pipelines.registry.runs import (
    HISTORY,
    RECORD,
    TRAINING,
    TrainingRecord,
    load_history,
    load_run,
    load_training,
)
from pipelines.train.checkpoint import History
from pipelines.train.plan import RunPlan

log = logging.getLogger(__name__)


def stored_model(plan: RunPlan, name: str) -> bytes | None:
    """The stored model's file, None unless it is there, intact, and trained to the end."""
    training = stored_training(plan, name)
    if training is None or stored_history(plan, name) is None:
        return None
    model, labels = plan.model_uri(name, "model.keras"), plan.model_uri(name, "labels.json")
    if not (storage.exists(model) and storage.exists(labels)):
        return None
    data = storage.read(model)
    if hashlib.sha256(data).hexdigest() != training.model_sha256:
        log.warning("%s is damaged; it is trained again", model)
        return None
    if storage.read(labels) != to_json(list(CLASSES)):
        log.warning("%s is damaged; the model is trained again", labels)
        return None
    return data


def stored_training(plan: RunPlan, name: str) -> TrainingRecord | None:
    """The record of a model's training, None unless it is there and whole.

    Raises:
      DatasetError: it is of a format that this version does not read.
    """
    uri = plan.model_uri(name, TRAINING)
    if not storage.exists(uri):
        return None
    try:
        return load_training(plan.model_uri(name))
    except FormatError:
        raise
    except DatasetError as err:
        log.warning("%s", err)
        return None


def stored_history(plan: RunPlan, name: str) -> History | None:
    """The stored history, None unless it is there and of all epochs."""
    uri = plan.model_uri(name, HISTORY)
    if not storage.exists(uri):
        return None
    try:
        history = load_history(plan.model_uri(name))
    except DatasetError:
        history = {"epoch": []}
    if len(history["epoch"]) != plan.experiment.epochs:
        log.warning("%s is damaged; the model is trained again", uri)
        return None
    return history


def stored_predictions(
    plan: RunPlan, name: str, notes: pa.Table, models: Sequence[str]
) -> pa.Table | None:
    """Return the stored predictions, None unless they are of this model and exactly these notes.

    Args:
      notes: all columns of predictions that do not depend on a model.
      models: the SHA-256 of each model.keras that should have given them.
    """
    uri = plan.model_uri(name, "predictions.parquet")
    if not storage.exists(uri):
        return None
    try:
        table = read_predictions(uri, digest=_recorded_digest(plan, name))
        from_table(table, name=uri)
    except PipelineError as err:
        log.warning("scoring again: %s", err)
        return None
    is_same = all(table[column].equals(notes[column]) for column in notes.column_names)
    if read_stamp(table).get("models") != list(models) or not is_same:
        log.info("%s is of another model or of other notes; scoring again", uri)
        return None
    return table


def _recorded_digest(plan: RunPlan, name: str) -> str | None:
    """Return the digest of the predictions that run.json has; None where it has none."""
    if not storage.exists(storage.join(plan.uri, RECORD)):
        return None
    try:
        return load_run(plan.uri).models[name].predictions_digest
    except (PipelineError, KeyError):
        # It is written again when the run is closed.
        return None
