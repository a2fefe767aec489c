"""Files that a training stores: written in a fixed order, read only if complete, and discarded."""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from pipelines import storage
from pipelines.errors import DatasetError, FormatError, PipelineError
from pipelines.evaluate.predictions import from_table, read_predictions, read_stamp
from pipelines.layout import (
    HISTORY,
    LABELS,
    METRICS,
    MODEL,
    PREDICTIONS,
    RECORD,
    TRAINED,
    TRAINING,
)
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
from pipelines.train.fitting.checkpoints import digest_arrays, open_checkpoints, read_weights
from pipelines.train.fitting.fit import Trained
from pipelines.train.model.architectures import encode_model
from pipelines.train.model.backend import NAME, device
from pipelines.train.selection.run_plan import RunPlan, Training

log = logging.getLogger(__name__)


def store_training(
    training: Training,
    trained: Trained,
    *,
    num_train: int,
    num_validation: int,
    data_seconds: float,
) -> None:
    """Store a trained model: its file, its labels, its history, and last the record of it.

    The weights are those of the last epoch or of the best one, as the protocol says.

    Args:
      num_train: notes that trained.
      num_validation: notes that validated.
      data_seconds: time that reading the samples took.
    """
    begun = time.perf_counter()
    experiment = training.plan.experiment
    stored_epoch = experiment.epochs
    if experiment.keeps_best_epoch:
        trained.model.set_weights(list(trained.best))
        stored_epoch = trained.best_epoch
    data = encode_model(trained.model)
    # An older version wrote beside the model which notes trained it.
    storage.remove(training.uri(TRAINED))
    storage.put(training.uri(MODEL), data)
    storage.put(training.uri(LABELS), to_json(list(CLASSES)))
    storage.put(training.uri(HISTORY), to_json(trained.history))
    storing_seconds = trained.storing_seconds + time.perf_counter() - begun
    record = TrainingRecord(
        model_sha256=hashlib.sha256(data).hexdigest(),
        weights_digest=digest_arrays(read_weights(trained.model)),
        seed=experiment.seed,
        epochs=experiment.epochs,
        stored_epoch=stored_epoch,
        best_epoch=trained.best_epoch,
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
        notes_digest=training.plan.notes_digest,
    )
    head = {"format_version": TRAINING_FORMAT}
    storage.put(training.uri(TRAINING), to_json(head | asdict(record)))


def stored_model(training: Training) -> bytes | None:
    """Return the bytes of the stored model; None unless it is intact and trained to the end."""
    record = stored_record(training)
    if record is None or stored_history(training) is None:
        return None
    model, labels = training.uri(MODEL), training.uri(LABELS)
    if not (storage.exists(model) and storage.exists(labels)):
        return None
    data = storage.read(model)
    if hashlib.sha256(data).hexdigest() != record.model_sha256:
        log.warning("%s is damaged; it is trained again", model)
        return None
    if storage.read(labels) != to_json(list(CLASSES)):
        log.warning("%s is damaged; the model is trained again", labels)
        return None
    # An older version did not record the notes; its models stay valid.
    if record.notes_digest not in (None, training.plan.notes_digest):
        log.warning("%s was trained on other notes; it is trained again", model)
        return None
    return data


def stored_record(training: Training) -> TrainingRecord | None:
    """Return the record of a training; None unless it is there and intact.

    Raises:
      FormatError: it is of a format that this version does not read.
    """
    if not storage.exists(training.uri(TRAINING)):
        return None
    try:
        return load_training(training.uri())
    except FormatError:
        raise
    except DatasetError as err:
        log.warning("%s", err)
        return None


def stored_history(training: Training) -> History | None:
    """Return the stored history; None unless it is there and has all epochs."""
    uri = training.uri(HISTORY)
    if not storage.exists(uri):
        return None
    try:
        history = load_history(training.uri())
    except DatasetError:
        history = {"epoch": []}
    if len(history["epoch"]) != training.plan.experiment.epochs:
        log.warning("%s is damaged; the model is trained again", uri)
        return None
    return history


def stored_predictions(
    plan: RunPlan, model: str, notes: pa.Table, sha256s: Sequence[str]
) -> pa.Table | None:
    """Return the stored predictions; None unless they are of this model and exactly these notes.

    Args:
      notes: all columns of predictions that do not depend on a model.
      sha256s: SHA-256 of each model.keras that should have made them.
    """
    uri = plan.model_uri(model, PREDICTIONS)
    if not storage.exists(uri):
        return None
    try:
        table = read_predictions(uri, digest=_recorded_digest(plan, model))
        from_table(table, name=uri)
    except PipelineError as err:
        log.warning("scoring again: %s", err)
        return None
    is_same = all(table[column].equals(notes[column]) for column in notes.column_names)
    if read_stamp(table).get("models") != list(sha256s) or not is_same:
        log.info("%s is of another model or of other notes; scoring again", uri)
        return None
    return table


def discard_model(plan: RunPlan, model: str) -> None:
    """Remove a model with its scores, so that it is trained again. May be repeated."""
    discard_scores(plan, model)
    storage.remove(plan.model_uri(model, HISTORY))
    for training in plan.trainings(model):
        # The record says that the model is trained to its end, so that it goes first.
        for file in (TRAINING, HISTORY, MODEL, TRAINED):
            storage.remove(training.uri(file))
        open_checkpoints(training).clear()


def discard_scores(plan: RunPlan, model: str) -> None:
    """Remove the predictions and metrics of a model, so that it is scored again. May be repeated.

    The record of the run goes first: where it is, all else of the run is.
    """
    for uri in (
        storage.join(plan.uri, RECORD),
        plan.model_uri(model, METRICS),
        plan.model_uri(model, PREDICTIONS),
    ):
        storage.remove(uri)


def _recorded_digest(plan: RunPlan, model: str) -> str | None:
    """Return the digest of the predictions that run.json has; None where it has none."""
    if not storage.exists(storage.join(plan.uri, RECORD)):
        return None
    try:
        return load_run(plan.uri).models[model].predictions_digest
    except (PipelineError, KeyError):
        # It is written again when the run is closed.
        return None
