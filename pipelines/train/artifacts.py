"""What a run has stored of a model, found again only where it is whole."""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from pipelines import storage
from pipelines.errors import DatasetError, FormatError, PipelineError
from pipelines.evaluate.predictions import from_table, read_predictions, read_stamp
from pipelines.layout import HISTORY, RECORD, TRAINED, TRAINING
from pipelines.notes import CLASSES
from pipelines.records import to_json
from pipelines.registry.runs import (
    TRAINING_FORMAT,
    History,
    TrainingRecord,
    git_state,
    load_history,
    load_run,
    load_training,
    versions,
)
from pipelines.train.fitting.checkpoints import digest_arrays, read_weights, run_checkpoints
from pipelines.train.fitting.fit import Trained
from pipelines.train.model.architectures import encode_model
from pipelines.train.model.backend import NAME, device
from pipelines.train.selection.run_plan import RunPlan, training_name

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


def store_trained(
    plan: RunPlan,
    name: str,
    trained: Trained,
    *,
    num_train: int,
    num_validation: int,
    data_seconds: float,
) -> None:
    """Stores a trained model: its file, its labels, its history, and last the record of it.

    The weights are those of the last epoch or of the best one, as the protocol has it.

    Args:
      name: of the training, see `pipelines.train.selection.run_plan.training_name`.
      num_train: notes that trained.
      num_validation: notes that validated.
      data_seconds: time that it took to have them at hand.
    """
    begun = time.perf_counter()
    experiment = plan.experiment
    stored_epoch = experiment.epochs
    if experiment.keeps_best_epoch:
        trained.model.set_weights(list(trained.best.weights))
        stored_epoch = trained.best.epoch
    data = encode_model(trained.model)
    storage.put(plan.model_uri(name, "model.keras"), data)
    storage.put(plan.model_uri(name, "labels.json"), to_json(list(CLASSES)))
    storage.put(plan.model_uri(name, HISTORY), to_json(trained.history))
    storing_seconds = trained.storing_seconds + time.perf_counter() - begun
    record = TrainingRecord(
        model_sha256=hashlib.sha256(data).hexdigest(),
        weights_digest=digest_arrays(read_weights(trained.model)),
        seed=experiment.seed,
        epochs=experiment.epochs,
        stored_epoch=stored_epoch,
        best_epoch=trained.best.epoch,
        batch_size=experiment.batch_size,
        num_steps=-(-num_train // experiment.batch_size),
        num_train=num_train,
        num_validation=num_validation,
        resumed_after=trained.resumed_after,
        device=device(),
        versions=versions(NAME),
        git=git_state(),
        seconds={
            "data": round(data_seconds, 3),
            "training": round(sum(trained.history["seconds"]), 3),
            "storing": round(storing_seconds, 3),
        },
    )
    head = {"format_version": TRAINING_FORMAT}
    storage.put(plan.model_uri(name, TRAINING), to_json(head | asdict(record)))


def discard_model(plan: RunPlan, name: str) -> None:
    """Removes a model with its scores, so that it is trained anew. May be repeated."""
    discard_scores(plan, name)
    storage.remove(plan.model_uri(name, HISTORY))
    for training in (training_name(name, fold) for fold in plan.folds):
        # What says that the model is trained to its end goes before the model.
        for file in (TRAINING, HISTORY, "model.keras", TRAINED):
            storage.remove(plan.model_uri(training, file))
        run_checkpoints(plan, training).clear()


def discard_scores(plan: RunPlan, name: str) -> None:
    """Removes what is known of a model's answers, so that it is scored anew. May be repeated."""
    storage.remove(storage.join(plan.uri, RECORD))
    for file in ("metrics.json", "predictions.parquet"):
        storage.remove(plan.model_uri(name, file))
