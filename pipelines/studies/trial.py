"""A trial as an ordinary run, scored on notes that are not test notes."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from pipelines import storage
from pipelines.analysis.dead_units import NUM_NOTES, dead_share
from pipelines.experiment import Experiment
from pipelines.layout import BATCHES, MODEL, UNITS
from pipelines.records import to_json
from pipelines.studies.study import Trial
from pipelines.train.fitting.callbacks import OnEpoch, ignore_epoch
from pipelines.train.fitting.fit import predict
from pipelines.train.model import backend
from pipelines.train.model.architectures import decode_model
from pipelines.train.run import evaluate_model, finish_run, train_model
from pipelines.train.samples.batches import Notes
from pipelines.train.selection.notes import scorable_notes, scored_samples
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import Validation

# Notes per batch, of several evaluations that must agree.
EVALUATION_BATCHES: Final = (1, 7, 32, 256)


def run_trial(
    trial: Trial,
    seed: int,
    validation: Validation,
    *,
    root: str,
    cache_dir: Path,
    on_epoch: OnEpoch = ignore_epoch,
) -> str:
    """Train and score the model of a trial, unless its run is stored; return the run's URI.

    Args:
      validation: verdicts on the training data, of the trial's length.
    """
    plan = _plan(replace(trial.experiment, seed=seed), validation, None, root)
    _complete(plan, trial.model, cache_dir, on_epoch)
    _store_units(plan, trial.model, cache_dir)
    if trial.finding == "batch_size" and trial.base is None:
        _store_batches(plan, trial.model, cache_dir)
    return plan.uri


def score_candidate(
    trial: Trial,
    seed: int,
    train: Validation,
    test: Validation,
    *,
    root: str,
    cache_dir: Path,
    on_epoch: OnEpoch = ignore_epoch,
) -> str:
    """Train the chosen model by the protocol reference and score it on the test notes, once.

    Returns:
      The run's URI.
    """
    experiment = replace(trial.experiment, seed=seed, protocol="reference")
    plan = _plan(experiment, train, test, root)
    _complete(plan, trial.model, cache_dir, on_epoch)
    return plan.uri


def _plan(experiment: Experiment, train: Validation, test: Validation | None, root: str) -> RunPlan:
    return plan_run(train=train, test=test, experiment=experiment, root=root, backend=backend.NAME)


def _complete(plan: RunPlan, model: str, cache_dir: Path, on_epoch: OnEpoch) -> None:
    train_model(plan, model, cache_dir=cache_dir, on_epoch=on_epoch)
    evaluate_model(plan, model, cache_dir=cache_dir)
    finish_run(plan)


def _store_units(plan: RunPlan, model: str, cache_dir: Path) -> None:
    """Store the share of dead units of the model, of the first fold where there are folds."""
    uri = plan.model_uri(model, UNITS)
    if storage.exists(uri):
        return
    training = plan.trainings(model)[0]
    rows = scorable_notes(plan)["row"].to_numpy()[:NUM_NOTES]
    audio = scored_samples(plan, cache_dir)[rows]
    trained = decode_model(storage.read(training.uri(MODEL)), uri=training.uri(MODEL))
    share = round(dead_share(trained, audio), 4)
    storage.put(uri, to_json({"format_version": 1, "dead_share": share}))


def _store_batches(plan: RunPlan, model: str, cache_dir: Path) -> None:
    """Store the accuracy when the same notes are scored in batches of several sizes."""
    uri = plan.model_uri(model, BATCHES)
    if storage.exists(uri):
        return
    notes = scorable_notes(plan)
    rows, labels = notes["row"].to_numpy(), notes["label"].to_numpy()
    scored = Notes(scored_samples(plan, cache_dir), rows, labels)
    training = plan.trainings(model)[0]
    trained = decode_model(storage.read(training.uri(MODEL)), uri=training.uri(MODEL))
    accuracies = {
        str(size): float(
            np.mean(predict(trained, scored, batch_size=size).argmax(axis=1) == labels)
        )
        for size in EVALUATION_BATCHES
    }
    storage.put(uri, to_json({"format_version": 1, "accuracies": accuracies}))
