"""The training stage: train a model, evaluate it, close the run.

Each step stores its results before it returns, finds them again when it runs twice, and takes and
returns small values only, so that a scheduler may run the steps in different processes.
`train_and_evaluate` runs all of them in one call.
"""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import storage
from pipelines.decisions import record_decision
from pipelines.errors import ConfigError, DatasetError, FormatError
from pipelines.evaluate.predictions import (
    add_stamp,
    from_table,
    predictions_digest,
    predictions_table,
    read_predictions,
)
from pipelines.evaluate.scores import summarise
from pipelines.evaluate.stored import store_metrics
from pipelines.experiment import Experiment, check_datasets
from pipelines.layout import ARCHITECTURE, HISTORY, METRICS, MODEL, PREDICTIONS, RECORD
from pipelines.notes import CLASSES
from pipelines.parameters import MAX_DROPPED
from pipelines.parquet import write_table
from pipelines.progress import OnProgress, Progress, ignore
from pipelines.records import now, to_json
from pipelines.registry.runs import (
    HISTORY_COLUMNS,
    History,
    ModelRecord,
    RunRecord,
    git_state,
    load_run,
    store_run,
    versions,
)
from pipelines.train.artifacts import (
    store_training,
    stored_history,
    stored_model,
    stored_predictions,
    stored_record,
)
from pipelines.train.fitting.callbacks import OnEpoch, ignore_epoch
from pipelines.train.fitting.checkpoints import open_checkpoints
from pipelines.train.fitting.fit import check_complete, fit, predict
from pipelines.train.model import backend
from pipelines.train.model.architectures import build, decode_model, layer_table
from pipelines.train.samples.batches import Notes
from pipelines.train.selection.holdout import HoldoutMode
from pipelines.train.selection.notes import load_training_samples, scorable_notes, scored_samples
from pipelines.train.selection.run_plan import TRAINING_VERSION, RunPlan, Training, plan_run
from pipelines.validate.verdicts import check_dropped, validate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metrics:
    """How a model scored on the test notes; all of it is in metrics.json.

    Attributes:
      uri: location of metrics.json.
      accuracy: of the kept notes, `num_scored` of them.
      accuracy_all: of every note with a label, `num_all` of them; comparable with published ones.
    """

    model: str
    uri: str
    num_parameters: int
    accuracy: float
    num_scored: int
    accuracy_all: float
    num_all: int


def train_and_evaluate(
    manifests: Mapping[str, str],
    *,
    experiment: Experiment,
    root: str,
    max_dropped: float = MAX_DROPPED,
    holdout_mode: HoldoutMode = "off",
    on_progress: OnProgress = ignore,
) -> str:
    """Validate the data sets, train each model, score it, and close the run.

    Args:
      manifests: of `train` and, as the protocol needs them, of `valid` and `test`.
      root: location that holds `runs/`.
      max_dropped: share of defective notes above which no data set is used.
      holdout_mode: whether the held-out notes are kept out of training.

    Returns:
      The URI of the run.
    """
    check_datasets(experiment.protocol, valid="valid" in manifests, test="test" in manifests)
    sides = {name: validate(manifest) for name, manifest in manifests.items()}
    for validation in sides.values():
        check_dropped(validation, max_dropped=max_dropped)
    plan = plan_run(
        train=sides["train"],
        valid=sides.get("valid"),
        test=sides.get("test"),
        experiment=experiment,
        root=root,
        backend=backend.NAME,
        holdout_mode=holdout_mode,
    )
    cache_dir = storage.cache_dir(root)
    for name in experiment.models:
        train_model(plan, name, cache_dir=cache_dir, on_epoch=epochs_as_progress(on_progress))
        evaluate_model(plan, name, cache_dir=cache_dir)
    finish_run(plan)
    return plan.uri


def epochs_as_progress(on_progress: OnProgress) -> OnEpoch:
    """Return a callback that passes each epoch's metrics on as progress."""

    def on_epoch(model: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
        names = [name for name in ("accuracy", "val_accuracy") if name in logs]
        metrics = [f"{name} {logs[name]:.3f}" for name in names]
        on_progress(Progress(f"train {model}", epoch, epochs, ", ".join(["epochs", *metrics])))

    return on_epoch


def train_model(
    plan: RunPlan, name: str, *, cache_dir: Path, on_epoch: OnEpoch = ignore_epoch
) -> None:
    """Train one model of a run and store it, unless it is stored and intact; with folds, each.

    Args:
      cache_dir: local folder for the samples; a run leaves them there for the next.

    Raises:
      ConfigError: this process has another backend than the run, memory or disk do not suffice.
      DatasetError: a data set is not the one that was planned, or the loss is no longer finite.
    """
    for own in plan.experiment.architectures:
        if own.name == name:
            storage.put(plan.model_uri(name, ARCHITECTURE), to_json(own.model_dump(mode="json")))
    for training in plan.trainings(name):
        _train(training, cache_dir=cache_dir, on_epoch=on_epoch)
    if plan.folds != (None,):
        storage.put(plan.model_uri(name, HISTORY), to_json(_mean_history(plan, name)))


def evaluate_model(plan: RunPlan, name: str, *, cache_dir: Path) -> Metrics:
    """Score a trained model on all test notes that have a label, and store the results.

    With folds, each note is scored by the model that trained without it.

    Stored predictions are used again where they are of this model, these notes and this
    EVALUATION_VERSION; the metrics always follow from the predictions.

    Raises:
      ConfigError: the model is not trained, memory or disk do not suffice.
      DatasetError: not every test note was scored.
    """
    files = [(training, _model_bytes(training)) for training in plan.trainings(name)]
    notes = scorable_notes(plan)
    digests = [hashlib.sha256(data).hexdigest() for _, data in files]
    predictions = stored_predictions(plan, name, notes, digests)
    if predictions is not None:
        why = f"reusing the predictions of {name} in run {plan.run_id}: same model and notes"
        record_decision(log, "evaluate", name, "reused", why)
    else:
        why = f"scoring {notes.num_rows:,} test notes, which this {name} was not yet scored on"
        record_decision(log, "evaluate", name, "ran", why)
        audio = scored_samples(plan, cache_dir)
        rows, labels = notes["row"].to_numpy(), notes["label"].to_numpy()
        folds = np.array(notes["fold"].to_pylist(), object)
        probabilities = np.full((len(rows), len(CLASSES)), np.nan, np.float32)
        for training, data in files:
            own = folds == training.fold
            probabilities[own] = predict(
                decode_model(data, uri=training.uri(MODEL)),
                Notes(audio, rows[own], labels[own]),
                batch_size=plan.experiment.batch_size,
            )
        check_complete(probabilities, num_notes=len(rows), model=name)
        predictions = predictions_table(notes, probabilities)
        write_table(plan.model_uri(name, PREDICTIONS), add_stamp(predictions, digests))
    return _store_metrics(plan, name, summarise(from_table(predictions)))


def finish_run(plan: RunPlan) -> RunRecord:
    """Write run.json, which says that the run is complete, unless it is there for these models.

    Raises:
      DatasetError: a model of the run is not trained or not evaluated.
    """
    models = {name: _model_record(plan, name) for name in plan.experiment.models}
    if storage.exists(storage.join(plan.uri, RECORD)):
        stored = _stored_record(plan.uri)
        if stored is not None and _without_digests(stored.models, models) == models:
            log.info("run %s is complete already", plan.run_id)
            return stored
    devices = {training.device for model in models.values() for training in model.trainings}
    record = RunRecord(
        run_id=plan.run_id,
        training_version=TRAINING_VERSION,
        experiment=plan.experiment,
        backend=plan.backend,
        device=", ".join(sorted(devices)),
        versions=versions(plan.backend),
        git=git_state(),
        families=CLASSES,
        datasets=plan.datasets,
        models=models,
        created=now(),
        seconds=sum(model.training_seconds for model in models.values()),
        notes_digest=plan.notes_digest,
        num_samples=plan.num_samples,
    )
    store_run(record, plan.uri)
    return record


def _train(training: Training, *, cache_dir: Path, on_epoch: OnEpoch) -> None:
    plan, name = training.plan, training.name
    checkpoints = open_checkpoints(training)
    if stored_model(training) is not None:
        why = f"reusing {name} of run {plan.run_id}: same data, experiment and backend"
        record_decision(log, "train", name, "reused", why)
        checkpoints.clear()
        return
    if plan.backend != backend.NAME:
        raise ConfigError(
            f"run {plan.run_id} is planned for {plan.backend}, but Keras runs on {backend.NAME} "
            "here; set KERAS_BACKEND or plan the run again"
        )
    if not checkpoints.are_stored:
        why = f"no trained {name} is stored for these data, this experiment and {plan.backend}"
        record_decision(log, "train", name, "ran", why)
    begun = time.perf_counter()
    train, validation = load_training_samples(training, cache_dir)
    data_seconds = time.perf_counter() - begun
    trained = fit(
        training.model,
        plan.experiment,
        train,
        validation,
        on_epoch=on_epoch,
        checkpoints=checkpoints,
    )
    store_training(
        training,
        trained,
        num_train=len(train.rows),
        num_validation=len(validation.rows),
        data_seconds=data_seconds,
    )
    checkpoints.clear()


def _mean_history(plan: RunPlan, model: str) -> History:
    """Return the history of a model with folds: means over them, but the sum of the seconds."""
    stored = [stored_history(training) for training in plan.trainings(model)]
    histories = [history for history in stored if history is not None]
    means = {
        column: [
            sum(values) / len(histories)
            for values in zip(*(history[column] for history in histories), strict=True)
        ]
        for column in HISTORY_COLUMNS
    }
    return means | {"seconds": [seconds * len(histories) for seconds in means["seconds"]]}


def _model_bytes(training: Training) -> bytes:
    data = stored_model(training)
    if data is None:
        raise ConfigError(f"{training.uri()} holds no trained model; train it first")
    return data


def _store_metrics(plan: RunPlan, name: str, metrics: Mapping[str, Any]) -> Metrics:
    model = build(name, plan.experiment, num_samples=plan.num_samples)
    num_parameters = model.count_params()
    store_metrics(plan.model_uri(name), metrics, model=name, num_parameters=num_parameters)
    every = metrics["all_notes"]
    log.info(
        "%s: accuracy %.4f on %d kept test notes, %.4f on all %d",
        *(name, metrics["accuracy"], metrics["num_scored"]),
        *(every["accuracy"], every["num_scored"]),
    )
    return Metrics(
        model=name,
        uri=plan.model_uri(name, METRICS),
        num_parameters=num_parameters,
        accuracy=metrics["accuracy"],
        num_scored=metrics["num_scored"],
        accuracy_all=every["accuracy"],
        num_all=every["num_scored"],
    )


def _model_record(plan: RunPlan, name: str) -> ModelRecord:
    stored = [stored_record(training) for training in plan.trainings(name)]
    trainings = tuple(record for record in stored if record is not None)
    if len(trainings) < len(stored) or not storage.exists(plan.model_uri(name, METRICS)):
        raise DatasetError(
            f"run {plan.run_id} cannot be closed: {name} is not trained and evaluated; run it first"
        )
    model = build(name, plan.experiment, num_samples=plan.num_samples)
    predictions = read_predictions(plan.model_uri(name, PREDICTIONS))
    digest = predictions_digest(predictions)
    return ModelRecord(model.count_params(), layer_table(model), trainings, digest)


def _stored_record(uri: str) -> RunRecord | None:
    try:
        return load_run(uri)
    except FormatError:
        raise
    except DatasetError as err:
        log.warning("writing the record of the run again: %s", err)
        return None


def _without_digests(
    stored: Mapping[str, ModelRecord], models: Mapping[str, ModelRecord]
) -> Mapping[str, ModelRecord]:
    """Return stored models with the digests that a record of format 3 does not have."""
    return {
        name: model
        if model.predictions_digest or name not in models
        else replace(model, predictions_digest=models[name].predictions_digest)
        for name, model in stored.items()
    }
