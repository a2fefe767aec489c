"""Which notes train and which choose: labels, and the stratified split of them."""

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from pipelines.errors import DatasetError
from pipelines.notes import CLASS_OF_FAMILY, CLASSES

NO_LABEL = -1

Indices = NDArray[np.int64]


def labels_of(families: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class of each family number, `NO_LABEL` where the classifiers have none for it."""
    return np.array([CLASS_OF_FAMILY.get(int(f), NO_LABEL) for f in families], dtype=np.int64)


def split(labels: NDArray[np.int64], fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Splits notes so that each class gives the same fraction of its own.

    Args:
      labels: int64 [num_notes], in [0, 10).
      fraction: part that goes to the second share.

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


def thin(labels: NDArray[np.int64], fraction: float, seed: int) -> Indices:
    """Part of the notes, the same part of each class; a smaller fraction's are among a larger's.

    Args:
      labels: int64 [num_notes].
      fraction: in (0, 1]; of each class one note stays at least.

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
    """Refuses notes that nothing can be learnt from.

    Raises:
      DatasetError: no notes, or one class only.
    """
    found = np.unique(labels)
    if not len(found):
        raise DatasetError("no notes are left to train on; look at the validation's reasons")
    if len(found) == 1:
        raise DatasetError(
            f"all {len(labels)} notes left to train on are {CLASSES[found[0]]}; "
            "expected two classes at least"
        )
