"""Splits of notes: stratified by family, by folds of whole instruments, and random subsets."""

import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from pipelines.errors import DatasetError
from pipelines.notes import CLASS_OF_FAMILY, CLASSES

# The label of a note whose family is not a class.
NO_LABEL: Final = -1

Indices = NDArray[np.int64]


def class_labels(families: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class of each family number, `NO_LABEL` where it has none; int64 [num_notes]."""
    return np.array([CLASS_OF_FAMILY.get(int(f), NO_LABEL) for f in families], dtype=np.int64)


def split(labels: NDArray[np.int64], fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Split notes so that each class gives the same fraction of its notes.

    Args:
      labels: int64 [num_notes], in [0, 10).
      fraction: fraction of the notes in the second part.

    Returns:
      Positions in `labels`, ascending: of the notes to train on, and of those to validate with.

    Raises:
      DatasetError: no notes, one class only, or a class too small to split.
    """
    check_classes(labels)
    if (lonely := np.flatnonzero(np.bincount(labels) == 1)).size:
        names = ", ".join(CLASSES[label] for label in lonely)
        raise DatasetError(
            f"one note only is left of {names}; expected two of a class at least, one to train on "
            "and one to validate with"
        )
    try:
        train, validation = train_test_split(
            np.arange(len(labels)), test_size=fraction, random_state=seed, stratify=labels
        )
    except ValueError as err:
        raise DatasetError(
            f"cannot split {len(labels)} notes of {len(np.unique(labels))} classes with a "
            f"validation fraction of {fraction}: {err}"
        ) from err
    return np.sort(train), np.sort(validation)


def subsample(labels: NDArray[np.int64], fraction: float, seed: int) -> Indices:
    """Return a random subset of the notes, stratified by class.

    A smaller fraction of the same notes is a subset of a larger one.

    Args:
      labels: int64 [num_notes].
      fraction: in (0, 1]; at least one note of each class stays.

    Returns:
      Positions in `labels`, ascending.
    """
    numbers = np.random.PCG64(np.random.SeedSequence([seed, len(labels)])).random_raw(len(labels))
    order = np.argsort(numbers, kind="stable")
    kept = [
        own[: max(1, round(fraction * len(own)))]
        for own in (order[labels[order] == label] for label in np.unique(labels))
    ]
    return np.sort(np.concatenate(kept))


def check_classes(labels: NDArray[np.int64]) -> None:
    """Raise if the notes cannot train a classifier.

    Args:
      labels: int64 [num_notes].

    Raises:
      DatasetError: no notes, or one class only.
    """
    classes = np.unique(labels)
    if not len(classes):
        raise DatasetError("no notes are left to train on; look at the validation's reasons")
    if len(classes) == 1:
        raise DatasetError(
            f"all {len(labels)} notes left to train on are {CLASSES[classes[0]]}; "
            "expected two classes at least"
        )


NUM_FOLDS: Final = 3

Groups = NDArray[np.int64]


def group_notes(instruments: NDArray[np.str_], audio_digests: NDArray[np.str_]) -> Groups:
    """Return the group of each note: an instrument, with all that share a waveform with it.

    Args:
      instruments: str [num_notes], name of each note's instrument.
      audio_digests: str [num_notes], digest of each note's original samples.

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


def assign_folds(
    labels: NDArray[np.int64], groups: Groups, *, seed: int, num_folds: int = NUM_FOLDS
) -> NDArray[np.int64]:
    """Return the fold that each note is scored in; all notes of a group are in one fold.

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
    fold_of = np.zeros(len(labels), np.int64)
    try:
        for fold, scored in enumerate(_parts(labels, groups, num_folds, seed)):
            fold_of[scored] = fold
    except ValueError as err:
        raise DatasetError(
            f"cannot make {num_folds} folds of {len(labels)} notes in {groups.max() + 1} groups of "
            f"instruments: {err}; add instruments, or choose another protocol"
        ) from err
    for fold in range(num_folds):
        missing = np.setdiff1d(labels, labels[fold_of != fold])
        if missing.size:
            raise DatasetError(
                f"without fold {fold + 1} no note of {', '.join(CLASSES[c] for c in missing)} is "
                f"left to train on with seed {seed}; choose another seed, or another protocol"
            )
    return fold_of


def split_groups(
    labels: NDArray[np.int64], groups: Groups, *, fraction: float, seed: int
) -> tuple[Indices, Indices]:
    """Split notes by whole groups, so that every family stays among the notes to train on.

    A family whose every group would be held out trains instead: where instruments are few,
    validation has fewer notes, never training.

    Args:
      labels: int64 [num_notes], in [0, 10).
      groups: int64 [num_notes].
      fraction: approximate fraction of the notes to hold out.

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
    """Draw whole groups of each family: at least a fraction of its notes, and never all of them.

    With few instruments a family gives more than the fraction, since it gives one instrument at
    least; a family of one group gives none.

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
        for group in sorted(np.unique(groups[own]), key=lambda group: order[group]):
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
    """Return parts of whole groups, each with nearly the same share of each family."""
    splitter = StratifiedGroupKFold(num_parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A family of few notes is fine; too few of them are an error of the callers.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [part for _, part in splitter.split(labels, labels, groups)]
