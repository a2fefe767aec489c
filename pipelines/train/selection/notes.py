"""Notes of a run with their samples: those that train and validate, and those that are scored."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.evaluate.predictions import NOTE_COLUMNS
from pipelines.train.samples.batches import Notes, place_samples
from pipelines.train.samples.cache import SampleFile, cached_audio
from pipelines.train.selection.run_notes import load_run_notes, select_notes
from pipelines.train.selection.run_plan import RunPlan, Training
from pipelines.validate.verdicts import open_validated


def training_notes(training: Training) -> tuple[pa.Table, pa.Table]:
    """Return the notes that train and those that validate, with the columns of notes.parquet.

    Rows of the second table are of `valid` where the run has that data set, else of `train`.
    """
    plan = training.plan
    notes = load_run_notes(plan.uri, digest=plan.notes_digest)
    train = select_notes(notes, part="train", fold=training.fold)
    return train, select_notes(notes, part="valid", fold=training.fold)


def load_training_samples(training: Training, cache_dir: Path) -> tuple[Notes, Notes]:
    """Return the notes to train on and to validate with, with samples ready to be read."""
    plan = training.plan
    train, valid = training_notes(training)
    samples = place_samples(cached_audio(open_validated(plan.train), cache_dir))
    if plan.valid is None:
        return _with_samples(train, samples), _with_samples(valid, samples)
    other = place_samples(cached_audio(open_validated(plan.valid), cache_dir))
    return _with_samples(train, samples), _with_samples(valid, other)


def scorable_notes(plan: RunPlan) -> pa.Table:
    """Return one row per test note whose family is one of the classes, whatever its verdict.

    Returns:
      The columns of predictions.parquet that do not depend on a model: the row of the note, what it
      is, its label, its fold (null without folds), whether the notes that train the model which
      scores it have one of its instrument, and its verdict (null where it is kept).
    """
    notes = load_run_notes(plan.uri, digest=plan.notes_digest)
    tables = []
    for fold in plan.folds:
        scored = select_notes(notes, part="test", fold=fold)
        trained = select_notes(notes, part="train", fold=fold)["instrument_str"].unique()
        seen = pc.is_in(scored["instrument_str"], trained)
        tables.append(scored.append_column("instrument_seen", seen))
    scored = pa.concat_tables(tables).sort_by("row")
    columns = open_validated(plan.test).read(list(NOTE_COLUMNS)).take(scored["row"])
    return pa.table(
        {
            "row": scored["row"],
            **{name: columns[name] for name in NOTE_COLUMNS},
            "label": scored["label"],
            "fold": scored["fold"],
            "instrument_seen": scored["instrument_seen"],
            "verdict": scored["reason"],
        }
    )


def scored_samples(plan: RunPlan, cache_dir: Path) -> SampleFile:
    """Return the samples of all test notes, float32 [num_notes, num_samples]."""
    return cached_audio(open_validated(plan.test), cache_dir)


def _with_samples(notes: pa.Table, samples: object) -> Notes:
    return Notes(samples, notes["row"].to_numpy(), notes["label"].to_numpy())
