"""What of a note may tell its family: its pitch, velocity, source, qualities and spectrum.

An instrument's name is none of them: it names the family, and a new instrument has a new one.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from pipelines import storage
from pipelines.analysis.stored import ANALYSIS_VERSION, load_features
from pipelines.dataset import Dataset, open_dataset
from pipelines.decisions import decided
from pipelines.errors import DatasetError
from pipelines.evaluate.bootstrap import Interval, interval, resample_kinds
from pipelines.evaluate.predictions import Predictions, load_predictions
from pipelines.evaluate.scores import is_too_few
from pipelines.layout import FEATURES_FILE, PREDICTIONS
from pipelines.notes import QUALITIES
from pipelines.train.selection.notes import fold_rows, training_rows
from pipelines.train.selection.run_plan import RunPlan
from pipelines.train.selection.split import class_labels, subsample
from pipelines.validate.verdicts import Validation

Floats = NDArray[np.float64]

FEATURES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "pitch": ("pitch",),
        "velocity": ("velocity",),
        "source": ("instrument_source",),
        "qualities": ("qualities",),
        "metadata": ("pitch", "velocity", "instrument_source", "qualities"),
    }
)
"""The columns of each choice of features; `metadata` is all of them together."""

COLUMNS: Final = FEATURES["metadata"]

NUM_BANDS: Final = 24
_FLOOR: Final = 1e-6


def metadata(notes: pa.Table, feature: str) -> Floats:
    """The values of one of `FEATURES`, float64 [num_notes, num_values].

    Args:
      notes: a note a row, with its columns.
      feature: a name of `FEATURES`.
    """
    values = [_column_values(notes, column) for column in FEATURES[feature]]
    return np.concatenate(values, axis=1)


def band_levels(audio: NDArray[np.float32]) -> Floats:
    """How loud a note is in bands of equal width on a logarithmic scale, beside its loudest one.

    Args:
      audio: float32 [num_notes, num_samples].

    Returns:
      float64 [num_notes, NUM_BANDS], base-10 logarithms of power from -6 to 0; silence is all -6.
    """
    power = np.abs(np.fft.rfft(audio, axis=1)) ** 2
    edges = np.geomspace(1, power.shape[1], NUM_BANDS + 1).astype(np.intp)
    # A narrow band holds one bin at least; bin 0, the mean, says nothing of the sound.
    edges[:-1] = np.maximum(edges[:-1], np.arange(1, NUM_BANDS + 1))
    bands = np.add.reduceat(power, edges[:-1], axis=1)
    loudest = bands.max(axis=1, keepdims=True)
    shares = np.divide(bands, loudest, out=np.zeros_like(bands), where=loudest > 0)
    levels: Floats = np.log10(np.maximum(shares, _FLOOR)).astype(np.float64)
    return levels


def _column_values(notes: pa.Table, column: str) -> Floats:
    values = notes[column].combine_chunks()
    if column == "qualities":
        return np.array(values.to_pylist(), np.float64).reshape(len(notes), len(QUALITIES))
    found: Floats = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return found[:, np.newaxis]


NUM_TREES: Final = 100
MIN_LEAF: Final = 5
SEED: Final = 0

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class FeatureScore:
    """How often a classifier of some features is right about notes that did not train it.

    Attributes:
      feature: a name of `FEATURES`, `spectrum`, `none`, or `audio` and the model's name.
      interval: of 95 %, with instruments resampled; None where notes are too few or show no spread.
      is_constant: whether the feature has one value only in all notes that train.
    """

    feature: str
    accuracy: float
    interval: Interval | None
    num_notes: int
    num_instruments: int
    is_constant: bool

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON knows them."""
        return asdict(self) | {"interval": list(self.interval) if self.interval else None}


@dataclass(frozen=True)
class Gain:
    """How much more often a classifier is right once it has other features as well.

    Attributes:
      beside: the feature that it has in any case, as `FeatureScore` names them.
      added: what it has more.
      interval: of 95 %, paired, with instruments resampled; None as for a score.
    """

    beside: str
    added: str
    difference: float
    interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON knows them."""
        return asdict(self) | {"interval": list(self.interval) if self.interval else None}


def predict(train: Floats, labels: Ints, test: Floats) -> Ints:
    """The family that a classifier of the training notes gives each test note.

    Args:
      train: float64 [num_train, num_values].
      labels: int64 [num_train].
      test: float64 [num_test, num_values].

    Returns:
      int64 [num_test]; the commonest label where the features never vary.
    """
    if is_constant(train) or len(np.unique(labels)) == 1:
        return np.full(len(test), np.bincount(labels).argmax())
    forest = RandomForestClassifier(
        n_estimators=NUM_TREES, min_samples_leaf=MIN_LEAF, random_state=SEED
    )
    found: Ints = forest.fit(train, labels).predict(test).astype(np.int64)
    return found


def is_constant(values: Floats) -> bool:
    """Whether all notes have the same values."""
    return bool((values == values[:1]).all())


def feature_score(
    feature: str, correct: NDArray[np.bool_], instrument: Ints, *, constant: bool = False
) -> FeatureScore:
    """The score of answers.

    Args:
      correct: bool [num_notes], of which there is one at least.
      instrument: int64 [num_notes], from 0 and without gaps.
      constant: whether the feature says nothing.
    """
    num_instruments = int(instrument.max()) + 1
    ends = None
    if not is_too_few(len(correct), num_instruments):
        totals = resample_kinds(instrument, correct.astype(np.int64), 2).totals
        ends = interval(totals[:, 1] / totals.sum(axis=1), num_instruments)
    return FeatureScore(
        feature, float(correct.mean()), ends, len(correct), num_instruments, constant
    )


def feature_gain(
    beside: str,
    added: str,
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    instrument: Ints,
) -> Gain:
    """What an added feature gains.

    Args:
      before: bool [num_notes], whether each answer without it is right.
      after: the same with it.
      instrument: int64 [num_notes], from 0 and without gaps.
    """
    num_instruments, ends = int(instrument.max()) + 1, None
    if not is_too_few(len(before), num_instruments):
        # Kinds of note: the difference that it makes, -1 to 1, from 0.
        kind = after.astype(np.int64) - before + 1
        totals = resample_kinds(instrument, kind, 3).totals
        ends = interval((totals[:, 2] - totals[:, 0]) / totals.sum(axis=1), num_instruments)
    return Gain(beside, added, float(after.mean() - before.mean()), ends)


MAX_TRAIN: Final = 3_000
"""Training notes that a classifier meets; of more, a stratified part."""

_NO_FEATURE: Final = "none"
_SPECTRUM: Final = "spectrum"
_METADATA: Final = "metadata"
_BOTH: Final = "spectrum, metadata"
_ROWS_AT_ONCE: Final = 500

log = logging.getLogger(__name__)


def score_run_features(plan: RunPlan, *, force: bool = False) -> dict[str, Any]:
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
    labels = class_labels(families.to_numpy()[rows])
    if len(rows) > MAX_TRAIN:
        part = subsample(labels, MAX_TRAIN / len(rows), SEED)
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
