"""The notes of a run: those that train, those that validate, those that are scored."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import DatasetError
from pipelines.train.samples.batches import Notes, place_samples
from pipelines.train.samples.cache import SampleFile, cached_audio
from pipelines.train.selection.holdout import swap_with_validation
from pipelines.train.selection.run_plan import RunPlan, gated_training_rows, training_reasons
from pipelines.train.selection.split import (
    NO_LABEL,
    Groups,
    Indices,
    assign_folds,
    check_classes,
    class_labels,
    group_notes,
    split,
    split_groups,
    subsample,
)
from pipelines.validate.verdicts import Validation, load_reasons

_SCORED_COLUMNS = [
    "note_str",
    "instrument",
    "instrument_str",
    "instrument_source",
    "instrument_source_str",
    "pitch",
    "velocity",
    "audio_digest",
]


def training_notes(
    plan: RunPlan, cache_dir: Path, *, fold: int | None = None
) -> tuple[Notes, Notes]:
    """The kept notes to train on, and those to validate with."""
    train, validation = training_rows(plan, fold)
    dataset = _opened(plan.train)
    notes = Notes(place_samples(cached_audio(dataset, cache_dir)), train, _labels(dataset)[train])
    if plan.valid is not None:
        dataset = _opened(plan.valid)
        audio = place_samples(cached_audio(dataset, cache_dir))
        return notes, Notes(audio, validation, _labels(dataset)[validation])
    return notes, Notes(notes.audio, validation, _labels(dataset)[validation])


def training_rows(plan: RunPlan, fold: int | None = None) -> tuple[Indices, Indices]:
    """Where the notes of a training stand: to train on, and to validate with.

    Args:
      fold: in the protocol `grouped`, the one that the training leaves out.

    Returns:
      Rows of the training data set, and rows of `valid` where there is one, else of the same.

    Raises:
      DatasetError: the kept notes cannot be split, or a family would be left without any.
    """
    experiment = plan.experiment
    labels = _labels(_opened(plan.train))
    rows = _kept_rows(plan, "train", labels)
    if plan.valid is not None:
        check_classes(labels[rows])
        train, validation = rows, _kept_rows(plan, "valid", _labels(_opened(plan.valid)))
    elif fold is not None:
        groups = _groups(plan)
        rows = rows[_folds(plan, labels, groups)[rows] != fold]
        inside = split_groups(
            labels[rows],
            groups[rows],
            fraction=experiment.validation_fraction,
            seed=experiment.seed,
        )
        train, validation = (rows[part] for part in inside)
    else:
        inside = split(labels[rows], experiment.validation_fraction, experiment.seed)
        train, validation = (rows[part] for part in inside)
        if plan.gate:
            gated = gated_training_rows(plan)
            train, validation = swap_with_validation(
                labels, train, validation, gated=gated, seed=experiment.seed
            )
    if experiment.train_fraction < 1:
        train = train[subsample(labels[train], experiment.train_fraction, experiment.seed)]
    return train, validation


def fold_rows(plan: RunPlan, fold: int | None) -> Indices:
    """The rows of `plan.test` that the model of a training scores: those that have a label."""
    labels = _labels(_opened(plan.test))
    rows = np.flatnonzero(labels != NO_LABEL)
    return rows if fold is None else rows[_folds(plan, labels, _groups(plan))[rows] == fold]


def scorable_notes(plan: RunPlan) -> pa.Table:
    """One row a test note whose family is one of the classes, whatever its verdict.

    Returns:
      The columns of predictions.parquet that do not depend on a model: where the note stands, what
      it is, its label, its verdict (null where it is kept), its fold (null without folds), and
      whether the notes that train the model which scores it have one of its instrument.
    """
    dataset = _opened(plan.test)
    labels = _labels(dataset)
    rows = np.flatnonzero(labels != NO_LABEL)
    reasons = load_reasons(plan.test)
    notes = dataset.read(_SCORED_COLUMNS).take(pa.array(rows))
    notes = notes.add_column(0, pa.field("row", pa.int64(), nullable=False), [rows])
    notes = notes.append_column(pa.field("label", pa.int64(), nullable=False), [labels[rows]])
    fold_of = np.full(len(rows), None, object)
    seen = np.zeros(len(rows), bool)
    for fold in plan.folds:
        inside = np.isin(rows, fold_rows(plan, fold))
        fold_of[inside] = fold
        trained = pa.array(_trained_instruments(plan, fold), pa.string())
        seen[inside] = pc.is_in(notes["instrument_str"].filter(pa.array(inside)), trained)
    notes = notes.append_column("fold", pa.array(fold_of.tolist(), pa.int64()))
    notes = notes.append_column("instrument_seen", pa.array(seen))
    return notes.append_column("verdict", pa.array([reasons[row] for row in rows], pa.string()))


def _trained_instruments(plan: RunPlan, fold: int | None) -> list[str]:
    train, _ = training_rows(plan, fold)
    names = _opened(plan.train).read(["instrument_str"])["instrument_str"]
    return sorted(set(names.take(pa.array(train)).to_pylist()))


def _kept_rows(plan: RunPlan, dataset: str, labels: NDArray[np.int64]) -> Indices:
    kept = np.array([reason is None for reason in training_reasons(plan, dataset)], dtype=bool)
    return np.flatnonzero(kept & (labels != NO_LABEL))


def _groups(plan: RunPlan) -> Groups:
    """The group of each training note, whatever its verdict."""
    found = _opened(plan.train).read(["instrument_str", "audio_digest"])
    return group_notes(*(np.array(column.to_pylist(), str) for column in found.columns))


def _folds(plan: RunPlan, labels: NDArray[np.int64], groups: Groups) -> NDArray[np.int64]:
    """The fold of each training note, from 1; 0 where the note has no label.

    Notes that validation dropped have one too: they are scored like all others, and a note shares
    its fold with its copies.
    """
    found = np.zeros(len(labels), np.int64)
    labelled = labels != NO_LABEL
    found[labelled] = 1 + assign_folds(
        labels[labelled], groups[labelled], seed=plan.experiment.seed
    )
    return found


def audio_to_score(plan: RunPlan, cache_dir: Path) -> SampleFile:
    """The samples of all test notes, float32 [num_notes, 8000]."""
    return cached_audio(_opened(plan.test), cache_dir)


def _opened(validation: Validation) -> Dataset:
    """The data set that was validated; refuses another one in its place."""
    dataset = open_dataset(validation.manifest_uri)
    if dataset.manifest.manifest_digest != validation.manifest_digest:
        raise DatasetError(
            f"expected manifest digest {validation.manifest_digest} in {validation.manifest_uri}, "
            f"found {dataset.manifest.manifest_digest}; validate the data set again"
        )
    return dataset


def _labels(dataset: Dataset) -> NDArray[np.int64]:
    return class_labels(dataset.read(["instrument_family"])["instrument_family"].to_numpy())
