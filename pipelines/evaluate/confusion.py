"""Figures that a confusion matrix determines, of one matrix or of a stack of them.

Wherever a ratio has no denominator it is 0: the precision of a class that was never predicted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.notes import CLASSES

Floats = NDArray[np.float64]


def confusion_matrix(
    labels: ArrayLike, predicted: ArrayLike, num_classes: int = len(CLASSES)
) -> NDArray[np.int64]:
    """Counts of notes, int64 [num_classes, num_classes]: rows true, columns predicted."""
    counts = np.bincount(cells(labels, predicted, num_classes), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def cells(labels: ArrayLike, predicted: ArrayLike, num_classes: int) -> NDArray[np.int64]:
    """Each note's place in the matrix, row by row."""
    return np.asarray(labels, np.int64) * num_classes + np.asarray(predicted, np.int64)


def report_from_confusion(
    matrix: ArrayLike, families: Sequence[str] = CLASSES
) -> dict[str, list[float]]:
    """Precision, recall, F1 and support of each class, and their averages over all classes.

    Args:
      matrix: counts [num_classes, num_classes], rows true.

    Returns:
      One row a class in label order, then `macro avg` and `weighted avg`, whose support is all.

    Source: the table of scikit-learn's classification_report.
    """
    counts = np.asarray(matrix, np.int64)
    hits, support = np.diag(counts), counts.sum(axis=1)
    rows = np.stack([_ratio(hits, counts.sum(axis=0)), _ratio(hits, support), f1(counts)], axis=1)
    report = {
        name: [*map(float, row), int(notes)]
        for name, row, notes in zip(families, rows, support, strict=True)
    }
    total = int(support.sum())
    weighted = _ratio(support @ rows, np.asarray(total))
    return report | {
        "macro avg": [*map(float, rows.mean(axis=0)), total],
        "weighted avg": [*map(float, weighted), total],
    }


def accuracy(matrices: ArrayLike) -> Floats:
    """Part of the notes that are right; [..., num_classes, num_classes] gives [...]."""
    counts = np.asarray(matrices)
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def f1(matrices: ArrayLike) -> Floats:
    """Harmonic mean of precision and recall of each class, [..., num_classes]."""
    counts = np.asarray(matrices)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return _ratio(2 * hits, counts.sum(axis=-2) + counts.sum(axis=-1))


def macro_f1(matrices: ArrayLike) -> Floats:
    """Mean of F1 over the classes that have notes, [...].

    A class without notes counts in `report_from_confusion`, as scikit-learn does when it is named;
    here it would make every part of the notes that lacks a family look worse than it is.
    """
    has_notes = np.asarray(matrices).sum(axis=-1) > 0
    return _ratio((f1(matrices) * has_notes).sum(axis=-1), has_notes.sum(axis=-1))


def weighted_f1(matrices: ArrayLike) -> Floats:
    """Mean of F1 over the notes, each of which counts by its true class, [...]."""
    support = np.asarray(matrices).sum(axis=-1)
    return _ratio((f1(matrices) * support).sum(axis=-1), support.sum(axis=-1))


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    part, whole = np.broadcast_arrays(part, whole)
    ratio: Floats = np.divide(part, whole, out=np.zeros(part.shape), where=whole != 0)
    return ratio
