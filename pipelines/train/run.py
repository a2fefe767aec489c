"""The training stage, a function a step: train a model, evaluate it, close the run.

Each step stores what it made before it returns, finds it again when it runs twice, and takes and
gives small values only, so that a scheduler may run the steps in different processes.
"""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import storage
from pipelines.convert.shards import encode
from pipelines.decisions import decided
from pipelines.errors import ConfigError, DatasetError, FormatError
from pipelines.evaluate.predictions import (
    add_stamp,
    from_table,
    predictions_digest,
    read_predictions,
)
from pipelines.evaluate.scores import summarise
from pipelines.evaluate.stored import store_metrics
from pipelines.experiment import Experiment, check_datasets
from pipelines.layout import HISTORY, METRICS, PREDICTIONS
from pipelines.notes import CLASSES
from pipelines.parameters import MAX_DROPPED
from pipelines.progress import OnProgress, Progress, ignore
from pipelines.records import to_json
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
    store_trained,
    stored_history,
    stored_model,
    stored_predictions,
    stored_training,
)
from pipelines.train.fitting.callbacks import OnEpoch, ignore_epoch
from pipelines.train.fitting.checkpoints import run_checkpoints
from pipelines.train.fitting.fit import check_complete, fit, predict, predictions_table
from pipelines.train.model import backend
from pipelines.train.model.architectures import build, decode_model, layer_table
from pipelines.train.samples.batches import Notes
from pipelines.train.selection.holdout import HoldoutMode
from pipelines.train.selection.notes import (
    audio_to_score,
    fold_rows,
    scorable_notes,
    training_notes,
)
from pipelines.train.selection.run_notes import store_trained_notes
from pipelines.train.selection.run_plan import TRAINING_VERSION, RunPlan, plan_run, training_name
from pipelines.validate.verdicts import check_dropped, validate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Metrics:
    """How a model scored on the test notes; all of it is in metrics.json.

    Attributes:
      uri: of metrics.json.
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


def train_model(
    plan: RunPlan, name: str, *, cache_dir: Path, on_epoch: OnEpoch = ignore_epoch
) -> None:
    """Trains one model of a run and stores it, unless an intact one is stored; with folds, each.

    Args:
      cache_dir: local folder for the samples; a run leaves them there for the next.

    Raises:
      ConfigError: this process has another backend than the run, memory or disk do not suffice.
      DatasetError: the kept notes cannot be split, or the loss is no longer finite.
    """
    for fold in plan.folds:
        _train(plan, name, fold, cache_dir=cache_dir, on_epoch=on_epoch)
    if plan.folds != (None,):
        storage.put(plan.model_uri(name, HISTORY), to_json(_mean_history(plan, name)))


def _train(
    plan: RunPlan, model: str, fold: int | None, *, cache_dir: Path, on_epoch: OnEpoch
) -> None:
    """One training of `train_model`."""
    name = training_name(model, fold)
    checkpoints = run_checkpoints(plan, name)
    if stored_model(plan, name) is not None:
        why = f"reusing {name} of run {plan.run_id}: same data, experiment and backend"
        decided(log, "train", name, "reused", why)
        checkpoints.clear()
        return
    if plan.backend != backend.NAME:
        raise ConfigError(
            f"run {plan.run_id} is planned for {plan.backend}, but Keras runs on {backend.NAME} "
            "here; set KERAS_BACKEND or plan the run again"
        )
    if not checkpoints.are_stored:
        why = f"no trained {name} is stored for these data, this experiment and {plan.backend}"
        decided(log, "train", name, "ran", why)
    begun = time.perf_counter()
    train, validation = training_notes(plan, cache_dir, fold=fold)
    data_seconds = time.perf_counter() - begun
    if fold is None:
        # Nothing that folds make is ever promoted.
        store_trained_notes(plan, name, train.rows, validation.rows)
    trained = fit(
        model, plan.experiment, train, validation, on_epoch=on_epoch, checkpoints=checkpoints
    )
    store_trained(
        plan,
        name,
        trained,
        num_train=len(train.rows),
        num_validation=len(validation.rows),
        data_seconds=data_seconds,
    )
    checkpoints.clear()


def _mean_history(plan: RunPlan, model: str) -> History:
    """The history of a model with folds: means over them, but the seconds of all."""
    found = [stored_history(plan, training_name(model, fold)) for fold in plan.folds]
    whole = [history for history in found if history is not None]
    means = {
        column: [
            sum(values) / len(whole) for values in zip(*(h[column] for h in whole), strict=True)
        ]
        for column in HISTORY_COLUMNS
    }
    return means | {"seconds": [seconds * len(whole) for seconds in means["seconds"]]}


def evaluate_model(plan: RunPlan, name: str, *, cache_dir: Path) -> Metrics:
    """Scores a trained model on all test notes that have a label, and stores what it found.

    With folds each note is scored by the model that trained without it, and all are pooled.

    Stored predictions are used again where they are of this model, these notes and this
    EVALUATION_VERSION; the metrics always follow from the predictions.

    Raises:
      ConfigError: the model is not trained, memory or disk do not suffice.
      DatasetError: not every test note was scored.
    """
    files = {fold: _model_file(plan, training_name(name, fold)) for fold in plan.folds}
    notes = scorable_notes(plan)
    digests = [hashlib.sha256(data).hexdigest() for data in files.values()]
    predictions = stored_predictions(plan, name, notes, digests)
    if predictions is not None:
        why = f"reusing the predictions of {name} in run {plan.run_id}: same model and notes"
        decided(log, "evaluate", name, "reused", why)
    else:
        why = f"scoring {notes.num_rows:,} test notes, which this {name} was not yet scored on"
        decided(log, "evaluate", name, "ran", why)
        audio = audio_to_score(plan, cache_dir)
        rows, labels = notes["row"].to_numpy(), notes["label"].to_numpy()
        probabilities = np.full((len(rows), len(CLASSES)), np.nan, np.float32)
        for fold, data in files.items():
            inside = np.isin(rows, fold_rows(plan, fold))
            probabilities[inside] = predict(
                decode_model(data, uri=plan.model_uri(training_name(name, fold), "model.keras")),
                Notes(audio, rows[inside], labels[inside]),
                batch_size=plan.experiment.batch_size,
            )
        check_complete(probabilities, num_notes=len(rows), model=name)
        predictions = predictions_table(notes, probabilities)
        storage.put(plan.model_uri(name, PREDICTIONS), encode(add_stamp(predictions, digests)))
    return _store_metrics(plan, name, summarise(from_table(predictions)))


def _model_file(plan: RunPlan, name: str) -> bytes:
    data = stored_model(plan, name)
    if data is None:
        raise ConfigError(f"{plan.model_uri(name)} holds no trained model; train it first")
    return data


def finish_run(plan: RunPlan) -> RunRecord:
    """Writes run.json, which says that the run is complete; keeps the one of these models.

    Raises:
      DatasetError: a model of the run is not trained or not evaluated.
    """
    names = plan.experiment.models
    models = {name: _model_record(plan, name) for name in names}
    if storage.exists(storage.join(plan.uri, "run.json")):
        record = _stored_record(plan.uri)
        if record is not None and _without_digests(record.models, models) == models:
            log.info("run %s is complete already", plan.run_id)
            return record
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
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=sum(model.training_seconds for model in models.values()),
    )
    store_run(record, plan.uri)
    return record


def _store_metrics(plan: RunPlan, name: str, figures: Mapping[str, Any]) -> Metrics:
    num_parameters = build(name, plan.experiment).count_params()
    store_metrics(plan.model_uri(name), figures, model=name, num_parameters=num_parameters)
    every = figures["all_notes"]
    log.info(
        "%s: accuracy %.4f on %d kept test notes, %.4f on all %d",
        *(name, figures["accuracy"], figures["num_scored"], every["accuracy"], every["num_scored"]),
    )
    return Metrics(
        model=name,
        uri=plan.model_uri(name, METRICS),
        num_parameters=num_parameters,
        accuracy=figures["accuracy"],
        num_scored=figures["num_scored"],
        accuracy_all=every["accuracy"],
        num_all=every["num_scored"],
    )


def _model_record(plan: RunPlan, name: str) -> ModelRecord:
    found = [stored_training(plan, training_name(name, fold)) for fold in plan.folds]
    trainings = tuple(training for training in found if training is not None)
    if len(trainings) < len(found) or not storage.exists(plan.model_uri(name, METRICS)):
        raise DatasetError(
            f"run {plan.run_id} cannot be closed: {name} is not trained and evaluated; run it first"
        )
    model = build(name, plan.experiment)
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


def train_and_evaluate(
    manifests: Mapping[str, str],
    *,
    experiment: Experiment,
    root: str,
    max_dropped: float = MAX_DROPPED,
    gating: HoldoutMode = "off",
    on_progress: OnProgress = ignore,
) -> str:
    """Validates the data sets, trains each model, scores it, and closes the run.

    Args:
      manifests: of `train` and, as the protocol needs them, of `valid` and `test`.
      root: the location that holds `runs/`.
      max_dropped: share of defective notes above which no data set is used.
      gating: whether the notes of the gate are kept out of training.

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
        gating=gating,
    )
    cache_dir = storage.cache_dir(root)
    for name in experiment.models:
        train_model(plan, name, cache_dir=cache_dir, on_epoch=epochs_as_progress(on_progress))
        evaluate_model(plan, name, cache_dir=cache_dir)
    finish_run(plan)
    return plan.uri


def epochs_as_progress(on_progress: OnProgress) -> OnEpoch:
    """What training reports after each epoch, as progress."""

    def on_epoch(model: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
        shown = ("accuracy", "val_accuracy")
        figures = [f"{key} {logs[key]:.3f}" for key in shown if key in logs]
        on_progress(Progress(f"train {model}", epoch, epochs, ", ".join(["epochs", *figures])))

    return on_epoch
