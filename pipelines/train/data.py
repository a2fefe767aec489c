"""The notes of a run: those that train, those that validate, those that are scored."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import DatasetError
from pipelines.train.batches import Notes
from pipelines.train.cache import cached_audio
from pipelines.train.plan import RunPlan, training_reasons
from pipelines.train.residence import settle
from pipelines.train.split import NO_LABEL, Indices, labels_of, split
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


def training_notes(plan: RunPlan, cache_dir: Path) -> tuple[Notes, Notes]:
    """The kept training notes, split into those to train on and those to validate with."""
    train, validation = training_rows(plan)
    dataset = _opened(plan.train)
    labels = _labels(dataset)
    audio = settle(cached_audio(dataset, cache_dir))
    return Notes(audio, train, labels[train]), Notes(audio, validation, labels[validation])


def training_rows(plan: RunPlan) -> tuple[Indices, Indices]:
    """Where the notes to train on and to validate with stand in the training data set.

    Raises:
      DatasetError: the kept notes cannot be split.
    """
    labels = _labels(_opened(plan.train))
    kept = np.array([reason is None for reason in training_reasons(plan)], dtype=bool)
    rows = np.flatnonzero(kept & (labels != NO_LABEL))
    experiment = plan.experiment
    train, validation = split(labels[rows], experiment.validation_fraction, experiment.seed)
    return rows[train], rows[validation]


def scorable_notes(plan: RunPlan) -> pa.Table:
    """One row a test note whose family is one of the classes, whatever its verdict.

    Returns:
      The columns of predictions.parquet that do not depend on a model: where the note stands, what
      it is, its label, its verdict (null where it is kept), and whether the notes that train have
      one of its instrument.
    """
    dataset = _opened(plan.test)
    labels = _labels(dataset)
    rows = np.flatnonzero(labels != NO_LABEL)
    reasons = load_reasons(plan.test)
    notes = dataset.read(_SCORED_COLUMNS).take(pa.array(rows))
    notes = notes.add_column(0, pa.field("row", pa.int64(), nullable=False), [rows])
    notes = notes.append_column(pa.field("label", pa.int64(), nullable=False), [labels[rows]])
    seen = _is_trained_on(notes["instrument_str"], plan)
    notes = notes.append_column("instrument_seen", pa.array(seen, pa.bool_()))
    return notes.append_column("verdict", pa.array([reasons[row] for row in rows], pa.string()))


def _is_trained_on(instruments: pa.ChunkedArray, plan: RunPlan) -> list[bool]:
    train, _ = training_rows(plan)
    names = _opened(plan.train).read(["instrument_str"])["instrument_str"]
    trained = set(names.take(pa.array(train)).to_pylist())
    return [name in trained for name in instruments.to_pylist()]


def audio_to_score(plan: RunPlan, cache_dir: Path) -> NDArray[np.float32]:
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
    return labels_of(dataset.read(["instrument_family"])["instrument_family"].to_numpy())
