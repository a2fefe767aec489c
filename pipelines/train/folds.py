"""Folds of whole instruments, for scores of instruments that no training has met."""

import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from pipelines.errors import DatasetError
from pipelines.notes import CLASSES
from pipelines.train.split import Indices

NUM_FOLDS: Final = 3

Groups = NDArray[np.int64]


def groups_of(instruments: NDArray[np.str_], audio_digests: NDArray[np.str_]) -> Groups:
    """The group of each note: an instrument, together with those that share a waveform with it.

    Args:
      instruments: name of each note's instrument, [num_notes].
      audio_digests: of each note's original samples, [num_notes].

    Returns:
      int64 [num_notes], from 0 without gaps.
    """
    names, instrument = np.unique(instruments, return_inverse=True)
    waves, wave = np.unique(audio_digests, return_inverse=True)
    # Instruments and waveforms are nodes, a note is an edge between its own two.
    size = len(names) + len(waves)
    edges = coo_array(
        (np.ones(len(instrument), np.int8), (instrument, len(names) + wave)), shape=(size, size)
    )
    _, component = connected_components(edges, directed=False)
    return np.unique(component[instrument], return_inverse=True)[1].astype(np.int64)


def folds(
    labels: NDArray[np.int64], groups: Groups, *, seed: int, num_folds: int = NUM_FOLDS
) -> NDArray[np.int64]:
    """The fold that each note is scored in; a group is in one fold as a whole.

    Args:
      labels: int64 [num_notes], in [0, 10).
      groups: int64 [num_notes], of `groups_of`.

    Returns:
      int64 [num_notes], from 0.

    Raises:
      DatasetError: some fold would leave a family without notes to train on.
    """
    lonely = [CLASSES[c] for c in np.unique(labels) if len(np.unique(groups[labels == c])) < 2]
    if lonely:
        raise DatasetError(
            f"all notes of {', '.join(lonely)} are of one instrument, or share waveforms; the "
            "protocol grouped needs two instruments a family, one to train on and one to score"
        )
    found = np.zeros(len(labels), np.int64)
    try:
        for fold, scored in enumerate(_parts(labels, groups, num_folds, seed)):
            found[scored] = fold
    except ValueError as err:
        raise DatasetError(
            f"cannot make {num_folds} folds of {len(labels)} notes in {groups.max() + 1} groups of "
            f"instruments: {err}; add instruments, or choose another protocol"
        ) from err
    for fold in range(num_folds):
        missing = np.setdiff1d(labels, labels[found != fold])
        if missing.size:
            raise DatasetError(
                f"without fold {fold + 1} no note of {', '.join(CLASSES[c] for c in missing)} is "
                f"left to train on with seed {seed}; choose another seed, or another protocol"
            )
    return found


def hold_out(
    labels: NDArray[np.int64], groups: Groups, *, fraction: float, seed: int
) -> tuple[Indices, Indices]:
    """Splits notes by whole groups, so that every family stays among the notes to train on.

    A family whose every group would be held out trains instead, so that few instruments of a
    family cost validation and never training.

    Args:
      labels: int64 [num_notes], in [0, 10).
      groups: int64 [num_notes].
      fraction: part of the notes to hold out, nearly.

    Returns:
      Positions of the notes to train on, and of those to validate with, ascending.

    Raises:
      DatasetError: nothing could be held out.
    """
    try:
        held = _parts(labels, groups, max(2, round(1 / fraction)), seed)[0]
    except ValueError as err:
        raise DatasetError(f"cannot hold out instruments of {len(labels)} notes: {err}") from err
    is_held = np.zeros(len(labels), bool)
    is_held[held] = True
    while (gone := np.setdiff1d(labels, labels[~is_held])).size:
        back = np.unique(groups[is_held & np.isin(labels, gone)])
        is_held &= ~np.isin(groups, back)
    if not is_held.any():
        raise DatasetError(
            f"no instrument of the {len(labels)} notes can be held out to validate with: each "
            "family has one only; add instruments, or choose another protocol"
        )
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def draw_groups(
    labels: NDArray[np.int64], groups: Groups, *, fraction: float, seed: int
) -> Indices:
    """Whole groups of each family: a fraction of its notes at least, and never all of them.

    With few instruments a family gives more than the fraction, since one instrument is the least;
    a family of one group gives none.

    Args:
      labels: int64 [num_notes], in [0, 10).
      groups: int64 [num_notes].

    Returns:
      Positions of the drawn notes, ascending.

    Raises:
      DatasetError: no family has a group to spare.
    """
    order = np.random.PCG64(seed).random_raw(int(groups.max()) + 1)
    drawn = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        own = labels == label
        for group in sorted(np.unique(groups[own]), key=lambda of: order[of]):
            if drawn[own].sum() >= fraction * own.sum():
                break
            more = drawn | (groups == group)
            # A group that shares waveforms may hold instruments of several families.
            if np.isin(labels[more], labels[~more]).all():
                drawn = more
    if not drawn.any():
        raise DatasetError(
            f"no instrument of the {len(labels)} notes can be kept out of training: each family "
            "has one only; add instruments, or choose another protocol"
        )
    return np.flatnonzero(drawn)


def _parts(labels: NDArray[np.int64], groups: Groups, num_parts: int, seed: int) -> list[Indices]:
    """Parts of whole groups, each with nearly the same share of each family."""
    splitter = StratifiedGroupKFold(num_parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A family of few notes is no reason to warn; whether it is too few is looked at here.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [part for _, part in splitter.split(labels, labels, groups)]
