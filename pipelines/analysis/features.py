"""Accuracy of single features: pitch, velocity, source, qualities and spectrum of a run's notes.

A classifier learns the family from each feature, and its accuracy is stored beside the models'. It
is the same for all features, so that their scores compare: a random forest takes numbers and
categories without scaling, follows any shape of dependence and needs no tuning.

An instrument's name is not a feature: it names the family, and a new instrument has a new one.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from pipelines import storage
from pipelines.analysis.answers import compare_answers, sample_notes, score_answers
from pipelines.analysis.spectrum import read_levels
from pipelines.analysis.stored import ANALYSIS_VERSION, FeatureScore, Gain, load_features
from pipelines.dataset import Dataset
from pipelines.decisions import record_decision
from pipelines.evaluate.predictions import Predictions, load_predictions
from pipelines.layout import FEATURES_FILE, PREDICTIONS
from pipelines.notes import QUALITIES
from pipelines.records import parse, to_json
from pipelines.train.selection.run_notes import load_run_notes, select_notes
from pipelines.train.selection.run_plan import RunPlan
from pipelines.validate.verdicts import open_validated

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The columns of each choice of features; `metadata` is all of them together.
FEATURES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "pitch": ("pitch",),
        "velocity": ("velocity",),
        "source": ("instrument_source",),
        "qualities": ("qualities",),
        "metadata": ("pitch", "velocity", "instrument_source", "qualities"),
    }
)

NUM_TREES: Final = 100
MIN_LEAF: Final = 5
SEED: Final = 0

# A classifier learns from this many notes at most; of more, from a stratified part.
MAX_TRAIN: Final = 3_000

_NO_FEATURE: Final = "none"
_SPECTRUM: Final = "spectrum"
_METADATA: Final = "metadata"
_BOTH: Final = "spectrum, metadata"

log = logging.getLogger(__name__)


def score_run_features(plan: RunPlan, *, force: bool = False) -> dict[str, Any]:
    """Score each feature on the kept test notes of a complete run, and the models beside them.

    Args:
      force: score again even if the scores are stored.

    Returns:
      The content of features.json.
    """
    uri = storage.join(plan.uri, FEATURES_FILE)
    places = {name: plan.model_uri(name, PREDICTIONS) for name in plan.experiment.models}
    models = {name: load_predictions(place) for name, place in places.items()}
    # Identifies the run with the notes and models that were scored.
    sha256s = [hashlib.sha256(storage.read(place)).hexdigest() for place in places.values()]
    current = {"analysis_version": ANALYSIS_VERSION, "of": [plan.run_id, *sha256s]}
    stored = load_features(plan.uri) if storage.exists(uri) and not force else None
    if stored is not None and stored | current == stored:
        why = f"{uri} has what each feature of run {plan.run_id} says of the family"
        record_decision(log, "analyse", plan.run_id, "reused", why)
        return stored
    why = f"scoring the features of run {plan.run_id} without the models"
    record_decision(log, "analyse", plan.run_id, "ran", why)
    scores, gain = _score_features(plan, next(iter(models.values())))
    for name, predictions in models.items():
        kept = predictions.take(predictions.kept)
        scores.append(score_answers(f"audio, {name}", kept.correct, kept.instrument))
    content = {
        **current,
        "method": {
            "num_trees": NUM_TREES,
            "min_leaf": MIN_LEAF,
            "seed": SEED,
            "max_train": MAX_TRAIN,
        },
        "scores": [asdict(score) for score in scores],
        "gain": asdict(gain),
    }
    data = to_json(content)
    storage.put(uri, data)
    return parse(data)


def read_metadata(notes: pa.Table, feature: str) -> Floats:
    """Return the values of one of `FEATURES`, float64 [num_notes, num_values].

    Args:
      notes: one row per note, with its columns.
      feature: a name of `FEATURES`.
    """
    values = [_column_values(notes, column) for column in FEATURES[feature]]
    return np.concatenate(values, axis=1)


def predict_family(train: Floats, labels: Ints, test: Floats) -> Ints:
    """Return the family that a classifier of the training notes gives each test note.

    Args:
      train: float64 [num_train, num_values].
      labels: int64 [num_train].
      test: float64 [num_test, num_values].

    Returns:
      int64 [num_test]; the most frequent label where the features never vary.
    """
    if is_constant(train) or len(np.unique(labels)) == 1:
        return np.full(len(test), np.bincount(labels).argmax())
    forest = RandomForestClassifier(
        n_estimators=NUM_TREES, min_samples_leaf=MIN_LEAF, random_state=SEED
    )
    predicted: Ints = forest.fit(train, labels).predict(test).astype(np.int64)
    return predicted


def is_constant(values: Floats) -> bool:
    """Return whether all notes have the same values, float64 [num_notes, num_values]."""
    return bool((values == values[:1]).all())


def _score_features(plan: RunPlan, predictions: Predictions) -> tuple[list[FeatureScore], Gain]:
    """Return the scores of no feature, of each alone and of all, on the kept test notes.

    Returns:
      The scores, and what the metadata gain beside the spectrum.
    """
    kept = predictions.take(predictions.kept)
    names = [_NO_FEATURE, *FEATURES, _SPECTRUM, _BOTH]
    answers = {name: np.full(len(kept), -1) for name in names}
    constant = dict.fromkeys(names, True)
    notes = load_run_notes(plan.uri, digest=plan.notes_digest)
    learning, scored = (open_validated(side) for side in (plan.train, plan.test))
    for fold in plan.folds:
        rows = select_notes(notes, part="test", fold=fold)["row"].to_numpy()
        here = np.flatnonzero(np.isin(kept.row, rows))
        train, labels = sample_notes(select_notes(notes, part="train", fold=fold), MAX_TRAIN)
        for name in names:
            values = _values(learning, train, name)
            test = _values(scored, kept.row[here], name)
            answers[name][here] = predict_family(values, labels, test)
            constant[name] &= is_constant(values)
    correct = {name: answer == kept.label for name, answer in answers.items()}
    scores = [
        score_answers(name, correct[name], kept.instrument, constant=constant[name])
        for name in names
    ]
    gain = compare_answers(
        _SPECTRUM, _METADATA, correct[_SPECTRUM], correct[_BOTH], kept.instrument
    )
    return scores, gain


def _values(dataset: Dataset, rows: Ints, feature: str) -> Floats:
    if feature == _NO_FEATURE:
        return np.zeros((len(rows), 1))
    if feature == _SPECTRUM:
        return read_levels(dataset, rows)
    if feature == _BOTH:
        parts = [_values(dataset, rows, part) for part in (_SPECTRUM, _METADATA)]
        return np.concatenate(parts, axis=1)
    return read_metadata(dataset.read(list(FEATURES[_METADATA])).take(rows), feature)


def _column_values(notes: pa.Table, column: str) -> Floats:
    values = notes[column].combine_chunks()
    if column == "qualities":
        return np.array(values.to_pylist(), np.float64).reshape(len(notes), len(QUALITIES))
    numbers: Floats = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return numbers[:, np.newaxis]
