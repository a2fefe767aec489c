"""Baselines of a run: classifiers that any model should beat, scored on the same notes.

Each learns from the notes that train the run's models and answers the notes that score them, fold
by fold where the protocol has folds. Their predictions are stored as those of models are, so that
they have the same figures and intervals. Like the forests of `features`, they learn from the
levels of frequency bands; with more bands, as two of them are linear or nearly so.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines import storage
from pipelines.analysis.answers import Ints, sample_notes
from pipelines.analysis.spectrum import Floats, read_levels
from pipelines.decisions import record_decision
from pipelines.errors import FormatError, PipelineError
from pipelines.evaluate.predictions import (
    PREDICTIONS_SCHEMA,
    Predictions,
    add_stamp,
    from_table,
    predictions_table,
    read_predictions,
    read_stamp,
)
from pipelines.evaluate.scores import summarise
from pipelines.evaluate.stored import read_metrics, store_metrics
from pipelines.layout import BASELINES_FOLDER, PREDICTIONS
from pipelines.notes import CLASSES
from pipelines.parameters import BaselineName
from pipelines.parquet import write_table
from pipelines.records import digest
from pipelines.text import listed
from pipelines.train.selection.notes import scorable_notes
from pipelines.train.selection.run_notes import load_run_notes, select_notes
from pipelines.train.selection.run_plan import RunPlan
from pipelines.validate.verdicts import open_validated

# Raised whenever the same run would give other answers.
BASELINES_VERSION: Final = 1

NUM_BANDS: Final = 128

# A baseline learns from this many notes at most, of more from a stratified part: the nearest
# neighbour is found among all of them, and the regression passes over them hundreds of times.
MAX_TRAIN: Final = 20_000

_MAX_ITERATIONS: Final = 1_000

_CLASSIFIERS: Final[Mapping[BaselineName, Callable[[], Any]]] = MappingProxyType(
    {
        BaselineName.majority: lambda: DummyClassifier(strategy="prior"),
        BaselineName.nearest_neighbour: lambda: KNeighborsClassifier(1, algorithm="brute"),
        BaselineName.logistic_regression: lambda: make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=_MAX_ITERATIONS)
        ),
    }
)

log = logging.getLogger(__name__)


def score_baselines(
    plan: RunPlan, names: Sequence[BaselineName] = tuple(BaselineName), *, force: bool = False
) -> dict[str, Predictions]:
    """Return the predictions of baselines for the scored notes of a run, by name; store them.

    Args:
      force: make them again even if they are stored.

    Raises:
      ConfigError: a data set of the run is gone.
      DatasetError: another one is in its place.
    """
    notes = scorable_notes(plan)
    stored = {name: None if force else _stored(plan, name, notes) for name in names}
    missing = [name for name, table in stored.items() if table is None]
    if not missing:
        why = f"run {plan.run_id} has the predictions of {listed(names)}"
        record_decision(log, "analyse", plan.run_id, "reused", why)
    else:
        why = f"training {listed(missing)} on the notes of run {plan.run_id}"
        record_decision(log, "analyse", plan.run_id, "ran", why)
        for name, probabilities in _answers(plan, notes, missing).items():
            stored[name] = predictions_table(notes, probabilities)
            _store(plan, name, stored[name])
    return {str(name): from_table(table) for name, table in stored.items()}


def fit_baseline(name: BaselineName, levels: Floats, labels: Ints, scored: Floats) -> Any:
    """Train a baseline and return its probabilities for the scored notes.

    Args:
      levels: float64 [num_train, num_bands].
      labels: int64 [num_train], in [0, 10).
      scored: float64 [num_scored, num_bands].

    Returns:
      float32 [num_scored, 10]; 0 for a class that no training note has.
    """
    probabilities = np.zeros((len(scored), len(CLASSES)), np.float32)
    classes = np.unique(labels)
    # The regression refuses notes of one class, and all baselines agree about them.
    chosen = name if len(classes) > 1 else BaselineName.majority
    classifier = _CLASSIFIERS[chosen]().fit(levels, labels)
    probabilities[:, classes] = classifier.predict_proba(scored)
    return probabilities


def _answers(
    plan: RunPlan, notes: pa.Table, names: Sequence[BaselineName]
) -> dict[BaselineName, NDArray[np.float32]]:
    """Return the probabilities of each baseline, float32 [notes.num_rows, 10]."""
    run_notes = load_run_notes(plan.uri, digest=plan.notes_digest)
    learning, scoring = (open_validated(side) for side in (plan.train, plan.test))
    folds, rows = np.array(notes["fold"].to_pylist(), object), notes["row"].to_numpy()
    answers = {name: np.zeros((len(rows), len(CLASSES)), np.float32) for name in names}
    for fold in plan.folds:
        train = select_notes(run_notes, part="train", fold=fold)
        trained, labels = sample_notes(train, MAX_TRAIN)
        levels = read_levels(learning, trained, NUM_BANDS)
        own = folds == fold
        scored = read_levels(scoring, rows[own], NUM_BANDS)
        for name in names:
            answers[name][own] = fit_baseline(name, levels, labels, scored)
    return answers


def _store(plan: RunPlan, name: BaselineName, table: pa.Table) -> None:
    """Store predictions and then the metrics, which say that both are there."""
    uri = storage.join(plan.uri, BASELINES_FOLDER, name)
    write_table(storage.join(uri, PREDICTIONS), add_stamp(table, [_identity(plan, name)]))
    store_metrics(uri, summarise(from_table(table)), model=name, num_parameters=0)


def _stored(plan: RunPlan, name: BaselineName, notes: pa.Table) -> pa.Table | None:
    """Return stored predictions; None unless they are of this version and these notes."""
    uri = storage.join(plan.uri, BASELINES_FOLDER, name)
    place = storage.join(uri, PREDICTIONS)
    if not storage.exists(place):
        return None
    try:
        table = read_predictions(place)
        read_metrics(uri)
    except FormatError:
        raise
    except PipelineError as err:
        log.warning("scoring the baseline again: %s", err)
        return None
    is_same = all(table[column].equals(notes[column]) for column in notes.column_names)
    if read_stamp(table).get("models") != [_identity(plan, name)] or not is_same:
        return None
    return table.select(PREDICTIONS_SCHEMA.names)


def _identity(plan: RunPlan, name: BaselineName) -> str:
    """Return the digest of what the answers of a baseline follow from."""
    return digest([BASELINES_VERSION, name, NUM_BANDS, MAX_TRAIN, plan.run_id, plan.notes_digest])
