"""The notes of the gate among those of a run: which they are to be, and that none of them trains.

Where validation chooses nothing, the gate is the validation part of the first run, and gated notes
of later runs change places with others: all runs then train on as many notes. Elsewhere the gate
is whole instruments, which neither train nor validate.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError
from pipelines.registry.gate import Gate, current_gate, freeze_gate
from pipelines.train.experiment import Experiment
from pipelines.train.folds import draw_groups, groups_of
from pipelines.train.split import NO_LABEL, Indices, labels_of, split
from pipelines.validate.verdicts import Validation

Gating = Literal["off", "respect", "freeze"]
"""Whether a run knows of no gate, keeps out the one that there is, or makes one where none is."""

GATE_FRACTION: Final = 0.1
"""Part of each family's notes that whole instruments of the gate hold at least."""

log = logging.getLogger(__name__)

Reasons = Mapping[str, Sequence[str | None]]


def gate_of_run(
    sides: Mapping[str, Validation],
    reasons: Reasons,
    *,
    experiment: Experiment,
    root: str,
    gating: Gating,
) -> Gate | None:
    """The gate that a run has to respect; frozen here where that is asked for and none is.

    Args:
      sides: the data sets `train` and, in the protocol `official`, `valid`.
      reasons: why each of their notes is left out so far.
    """
    if gating == "off" or experiment.protocol == "grouped":
        return None
    found = current_gate(root)
    if found is not None or gating == "respect":
        return found
    side = sides["train"]
    notes = open_dataset(side.manifest_uri).read(
        ["instrument_family", "instrument_str", "audio_digest"]
    )
    labels = labels_of(notes["instrument_family"].to_numpy())
    rows = _usable(labels, reasons["train"])
    if not experiment.keeps_best_epoch:
        _, held = split(labels[rows], experiment.validation_fraction, experiment.seed)
        return freeze_gate(root, side.manifest_uri, rows[held], holds_instruments=False)
    names = (np.array(notes[of].to_pylist(), str) for of in ("instrument_str", "audio_digest"))
    groups = groups_of(*names)[rows]
    try:
        held = draw_groups(labels[rows], groups, fraction=GATE_FRACTION, seed=experiment.seed)
    except DatasetError as err:
        log.warning("there is no gate, and nothing will be promoted by itself: %s", err)
        return None
    return freeze_gate(root, side.manifest_uri, rows[held], holds_instruments=True)


def gated_rows(side: Validation, reasons: Sequence[str | None], gate: Gate) -> Indices:
    """The rows of a data set that could train or validate and that the gate holds."""
    notes = open_dataset(side.manifest_uri).read(
        ["instrument_family", "instrument_str", "audio_digest"]
    )
    held = gate.holds(notes["audio_digest"].to_pylist(), notes["instrument_str"].to_pylist())
    rows = _usable(labels_of(notes["instrument_family"].to_numpy()), reasons)
    return rows[held[rows]]


def trains_on(
    side: Validation, reasons: Sequence[str | None], gated: Indices, experiment: Experiment
) -> bool:
    """Whether a split that knows of no gate would train on one of its notes."""
    families = open_dataset(side.manifest_uri).read(["instrument_family"])["instrument_family"]
    labels = labels_of(families.to_numpy())
    rows = _usable(labels, reasons)
    train, _ = split(labels[rows], experiment.validation_fraction, experiment.seed)
    return bool(np.isin(rows[train], gated).any())


def change_places(
    labels: NDArray[np.int64], train: Indices, validation: Indices, *, gated: Indices, seed: int
) -> tuple[Indices, Indices]:
    """Lets gated notes validate, and as many others of their class train in their places.

    Args:
      labels: int64 [num_notes], of all notes of the data set.
      train: rows that would train.
      validation: rows that would validate.
      gated: rows of the gate.
      seed: which of the others train.

    Returns:
      Rows that train and rows that validate, ascending. Where a class has too few others, fewer of
      its notes train.
    """
    leaving = train[np.isin(train, gated)]
    others = validation[~np.isin(validation, gated)]
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


def _usable(labels: NDArray[np.int64], reasons: Sequence[str | None]) -> Indices:
    kept = np.array([reason is None for reason in reasons], bool)
    return np.flatnonzero(kept & (labels != NO_LABEL))
