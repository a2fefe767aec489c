"""How far each feature of a run's notes predicts the family, stored with the run."""

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pipelines import storage
from pipelines.analysis.features import COLUMNS, FEATURES, Floats, band_levels, metadata
from pipelines.analysis.predict import (
    MIN_LEAF,
    NUM_TREES,
    SEED,
    FeatureScore,
    Gain,
    Ints,
    feature_gain,
    feature_score,
    is_constant,
    predict,
)
from pipelines.analysis.stored import ANALYSIS_VERSION, FEATURES_FILE, load_features
from pipelines.dataset import Dataset, open_dataset
from pipelines.decisions import decided
from pipelines.errors import DatasetError
from pipelines.evaluate.predictions import Predictions, load_predictions
from pipelines.evaluate.stored import PREDICTIONS
from pipelines.train.data import fold_rows, training_rows
from pipelines.train.plan import RunPlan
from pipelines.train.split import labels_of, thin
from pipelines.validate.verdicts import Validation

MAX_TRAIN: Final = 3_000
"""Training notes that a classifier meets; of more, a stratified part."""

_NO_FEATURE: Final = "none"
_SPECTRUM: Final = "spectrum"
_METADATA: Final = "metadata"
_BOTH: Final = "spectrum, metadata"
_ROWS_AT_ONCE: Final = 500

log = logging.getLogger(__name__)


def analyse(plan: RunPlan, *, force: bool = False) -> dict[str, Any]:
    """Scores each feature on the kept test notes of a complete run, and the models beside them.

    Args:
      force: do it again although the scores are there.

    Returns:
      The content of features.json.
    """
    uri = storage.join(plan.uri, FEATURES_FILE)
    models = {
        name: load_predictions(plan.model_uri(name, PREDICTIONS)) for name in plan.experiment.models
    }
    stamp = _stamp(plan)
    stored = load_features(plan.uri) if storage.exists(uri) and not force else None
    current = {"analysis_version": ANALYSIS_VERSION, "of": stamp}
    if stored is not None and stored | current == stored:
        why = f"{uri} has what each feature of run {plan.run_id} says of the family"
        decided(log, "analyse", plan.run_id, "reused", why)
        return stored
    why = f"scoring the features of run {plan.run_id} without the models"
    decided(log, "analyse", plan.run_id, "ran", why)
    of_features, gain = _score_features(plan, next(iter(models.values())))
    scores = [*of_features, *_score_models(models)]
    content = {
        **current,
        "method": {
            "num_trees": NUM_TREES,
            "min_leaf": MIN_LEAF,
            "seed": SEED,
            "max_train": MAX_TRAIN,
        },
        "scores": [of.to_dict() for of in scores],
        "gain": gain.to_dict(),
    }
    storage.put(uri, (json.dumps(content, indent=1) + "\n").encode())
    return content


def _stamp(plan: RunPlan) -> list[str]:
    """What tells the scored notes and models of one state of a run from another."""
    places = [plan.model_uri(name, PREDICTIONS) for name in plan.experiment.models]
    return [plan.run_id, *(hashlib.sha256(storage.read(place)).hexdigest() for place in places)]


def _score_models(models: dict[str, Predictions]) -> list[FeatureScore]:
    kept = {name: of.take(of.kept) for name, of in models.items()}
    return [feature_score(f"audio, {name}", of.correct, of.instrument) for name, of in kept.items()]


def _score_features(plan: RunPlan, scored: Predictions) -> tuple[list[FeatureScore], Gain]:
    """The scores of no feature, of each alone and of all, on the kept test notes.

    Returns:
      The scores, and what the metadata gain beside the spectrum.
    """
    kept = scored.take(scored.kept)
    names = [_NO_FEATURE, *FEATURES, _SPECTRUM, _BOTH]
    answers = {name: np.full(len(kept), -1) for name in names}
    constant = dict.fromkeys(names, True)
    for fold in plan.folds:
        here = np.flatnonzero(np.isin(kept.row, fold_rows(plan, fold)))
        train, labels = _sampled(plan, fold)
        for name in names:
            before, after = (
                _values(side, rows, name)
                for side, rows in ((plan.train, train), (plan.test, kept.row[here]))
            )
            answers[name][here] = predict(before, labels, after)
            constant[name] &= is_constant(before)
    correct = {name: found == kept.label for name, found in answers.items()}
    scores = [
        feature_score(name, correct[name], kept.instrument, constant=constant[name])
        for name in names
    ]
    gain = feature_gain(_SPECTRUM, _METADATA, correct[_SPECTRUM], correct[_BOTH], kept.instrument)
    return scores, gain


def _sampled(plan: RunPlan, fold: int | None) -> tuple[Ints, Ints]:
    """Rows and labels of the notes that trained the models, `MAX_TRAIN` of them at most."""
    rows, _ = training_rows(plan, fold)
    families = _opened(plan.train).read(["instrument_family"])["instrument_family"]
    labels = labels_of(families.to_numpy()[rows])
    if len(rows) > MAX_TRAIN:
        part = thin(labels, MAX_TRAIN / len(rows), SEED)
        rows, labels = rows[part], labels[part]
    return rows, labels


def _values(side: Validation, rows: Ints, feature: str) -> Floats:
    if feature == _NO_FEATURE:
        return np.zeros((len(rows), 1))
    if feature == _SPECTRUM:
        return _spectra(side, rows)
    if feature == _BOTH:
        parts = [_values(side, rows, part) for part in (_SPECTRUM, _METADATA)]
        return np.concatenate(parts, axis=1)
    return metadata(_opened(side).read(list(COLUMNS)).take(rows), feature)


def _spectra(side: Validation, rows: Sequence[int] | Ints) -> Floats:
    """Read in stretches, since the samples of all notes may not fit in memory."""
    dataset = _opened(side)
    stretches = np.array_split(np.asarray(rows), max(1, len(rows) // _ROWS_AT_ONCE))
    return np.concatenate([band_levels(dataset.audio(part.tolist())) for part in stretches])


def _opened(side: Validation) -> Dataset:
    dataset = open_dataset(side.manifest_uri)
    if dataset.manifest.manifest_digest != side.manifest_digest:
        raise DatasetError(
            f"expected manifest digest {side.manifest_digest} in {side.manifest_uri}, "
            f"found {dataset.manifest.manifest_digest}; validate the data set again"
        )
    return dataset
