"""The held-out notes among those of a run, so that none of them trains.

Where validation chooses nothing, the held-out set is the validation part of the first run. Held-out
notes of later runs then swap with others, so that all runs train on as many notes. In the other
protocols the held-out set is whole instruments, which neither train nor validate.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.errors import DatasetError
from pipelines.experiment import Experiment
from pipelines.notes import NUM_SAMPLES
from pipelines.registry.holdout import Holdout, current_holdout, freeze_holdout
from pipelines.train.selection.split import (
    NO_LABEL,
    Indices,
    class_labels,
    draw_groups,
    group_notes,
    split,
)
from pipelines.validate.verdicts import Validation, load_reasons, open_validated

# Ignore the held-out set, keep the present one out of training, or also make one if there is none.
HoldoutMode = Literal["off", "respect", "freeze"]

# Smallest fraction of each family's notes that whole held-out instruments have.
HOLDOUT_FRACTION: Final = 0.1

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Side:
    """The notes of one data set while a run is planned.

    Attributes:
      validation: verdicts on the data set.
      notes: `row`, `note_str`, `instrument_str`, `audio_digest` and `instrument_family_str`.
      labels: int64 [num_notes], `NO_LABEL` where the family is not a class.
      reasons: object [num_notes], why each note is dropped so far; None where it is not.
      num_samples: samples that the data set stores per note.
    """

    validation: Validation
    notes: pa.Table
    labels: NDArray[np.int64]
    reasons: NDArray[np.object_]
    num_samples: int = NUM_SAMPLES

    @property
    def usable(self) -> Indices:
        """Return the rows of the notes that have a label and are not dropped, ascending."""
        kept = np.array([reason is None for reason in self.reasons], bool)
        return np.flatnonzero(kept & (self.labels != NO_LABEL))

    @property
    def groups(self) -> NDArray[np.int64]:
        """Return the group of each note, int64 [num_notes]; see `group_notes`."""
        names = (
            np.array(self.notes[column].to_pylist(), str)
            for column in ("instrument_str", "audio_digest")
        )
        return group_notes(*names)


def read_side(validation: Validation) -> Side:
    """Read the notes of a validated data set."""
    columns = ["note_str", "instrument_str", "audio_digest", "instrument_family_str"]
    dataset = open_validated(validation)
    notes = dataset.read([*columns, "instrument_family"])
    reasons = np.full(notes.num_rows, None, object)
    reasons[:] = load_reasons(validation)
    labels = class_labels(notes["instrument_family"].to_numpy())
    return Side(validation, notes.select(columns), labels, reasons, dataset.num_samples)


def find_held_out(
    sides: Mapping[str, Side], *, experiment: Experiment, root: str, mode: HoldoutMode
) -> tuple[Holdout | None, dict[str, Indices]]:
    """Return the held-out set and its rows in each data set; None where it changes nothing.

    Args:
      sides: data sets that train or validate, `train` first; leaked notes are dropped already.
      mode: "freeze" makes the held-out set if the root has none.
    """
    if mode == "off" or not experiment.takes_test_data:
        return None, {}
    holdout = current_holdout(root)
    if holdout is None and mode == "freeze":
        holdout = _freeze(sides["train"], experiment, root)
    if holdout is None:
        return None, {}
    rows = {name: _held_out_rows(side, holdout) for name, side in sides.items()}
    is_held_out = any(map(len, rows.values()))
    if is_held_out and not experiment.keeps_best_epoch:
        side = sides["train"]
        usable = side.usable
        train, _ = split(side.labels[usable], experiment.validation_fraction, experiment.seed)
        is_held_out = bool(np.isin(usable[train], rows["train"]).any())
    return (holdout, rows) if is_held_out else (None, {})


def swap_with_validation(
    labels: NDArray[np.int64], train: Indices, validation: Indices, *, held_out: Indices, seed: int
) -> tuple[Indices, Indices]:
    """Move held-out notes to validation, and as many others of their class to training.

    Args:
      labels: int64 [num_notes], of all notes of the data set.
      train: rows that would train.
      validation: rows that would validate.
      held_out: rows of the held-out set.
      seed: decides which of the others train.

    Returns:
      Rows that train and rows that validate, ascending. Where a class has too few others, fewer of
      its notes train.
    """
    leaving = train[np.isin(train, held_out)]
    others = validation[~np.isin(validation, held_out)]
    numbers = np.random.PCG64(np.random.SeedSequence([seed, len(others)])).random_raw(len(others))
    others = others[np.argsort(numbers, kind="stable")]
    coming = [
        others[labels[others] == label][: np.count_nonzero(labels[leaving] == label)]
        for label in np.unique(labels[leaving])
    ]
    came = np.concatenate([*coming, np.empty(0, np.int64)])
    stays = train[~np.isin(train, leaving)]
    waits = validation[~np.isin(validation, came)]
    return np.sort(np.concatenate([stays, came])), np.sort(np.concatenate([waits, leaving]))


def _freeze(side: Side, experiment: Experiment, root: str) -> Holdout | None:
    rows, manifest_uri = side.usable, side.validation.manifest_uri
    labels = side.labels[rows]
    if not experiment.keeps_best_epoch:
        _, held = split(labels, experiment.validation_fraction, experiment.seed)
        return freeze_holdout(root, manifest_uri, rows[held], holds_instruments=False)
    groups = side.groups[rows]
    try:
        held = draw_groups(labels, groups, fraction=HOLDOUT_FRACTION, seed=experiment.seed)
    except DatasetError as err:
        log.warning("there is no gate, and nothing will be promoted by itself: %s", err)
        return None
    return freeze_holdout(root, manifest_uri, rows[held], holds_instruments=True)


def _held_out_rows(side: Side, holdout: Holdout) -> Indices:
    """Return the rows of a data set that could train or validate and that are held out."""
    notes = side.notes
    held = holdout.holds(notes["audio_digest"].to_pylist(), notes["instrument_str"].to_pylist())
    rows = side.usable
    return rows[held[rows]]
