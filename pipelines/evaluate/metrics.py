"""Figures of a classifier: of confusion matrices, and of probabilities."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.notes import CLASSES

Floats = NDArray[np.float64]


def confusion_matrix(
    labels: ArrayLike, predicted: ArrayLike, num_classes: int = len(CLASSES)
) -> NDArray[np.int64]:
    """Count notes, int64 [num_classes, num_classes]: rows true, columns predicted."""
    counts = np.bincount(cells(labels, predicted, num_classes), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def cells(labels: ArrayLike, predicted: ArrayLike, num_classes: int) -> NDArray[np.int64]:
    """Return the cell of each note in the flattened matrix, int64 [num_notes]."""
    return np.asarray(labels, np.int64) * num_classes + np.asarray(predicted, np.int64)


def report_from_confusion(
    matrix: ArrayLike, families: Sequence[str] = CLASSES
) -> dict[str, list[float]]:
    """Return precision, recall, F1 and support of each class, and averages over all classes.

    Args:
      matrix: counts [num_classes, num_classes], rows true.

    Returns:
      One row for each class in label order, then `macro avg` and `weighted avg`, of all notes.

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
    """Return the share of notes that are right; [..., num_classes, num_classes] gives [...]."""
    counts = np.asarray(matrices)
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def f1(matrices: ArrayLike) -> Floats:
    """Return the harmonic mean of precision and recall of each class, [..., num_classes]."""
    counts = np.asarray(matrices)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return _ratio(2 * hits, counts.sum(axis=-2) + counts.sum(axis=-1))


def macro_f1(matrices: ArrayLike) -> Floats:
    """Return the mean of F1 over the classes that have notes, [...].

    A class without notes counts in `report_from_confusion`, as scikit-learn does when it is named;
    here it would make every part of the notes that lacks a family look worse than it is.
    """
    has_notes = np.asarray(matrices).sum(axis=-1) > 0
    return _ratio((f1(matrices) * has_notes).sum(axis=-1), has_notes.sum(axis=-1))


def weighted_f1(matrices: ArrayLike) -> Floats:
    """Return the mean of F1 over the notes, by their true classes, [...]."""
    support = np.asarray(matrices).sum(axis=-1)
    return _ratio((f1(matrices) * support).sum(axis=-1), support.sum(axis=-1))


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    part, whole = np.broadcast_arrays(part, whole)
    ratio: Floats = np.divide(part, whole, out=np.zeros(part.shape), where=whole != 0)
    return ratio


Ints = NDArray[np.int64]

# Bins of the reliability table. Source: Guo et al., "On Calibration of Modern Neural Networks",
# 2017; of equal mass: Nixon et al., "Measuring Calibration in Deep Learning", 2019.
NUM_BINS: Final = 15

# A smaller probability of the true class counts as this, or one note could make the loss infinite;
# scikit-learn's log_loss does the same for float32.
LEAST_PROBABILITY: Final = float(np.finfo(np.float32).eps)


def negative_log_likelihood(label: Ints, probabilities: Floats) -> Floats:
    """Return minus the natural logarithm of the true class's probability, float64 [num_notes].

    Args:
      label: int64 [num_notes].
      probabilities: float64 [num_notes, num_classes].
    """
    true = probabilities[np.arange(len(label)), label]
    return np.asarray(-np.log(true.clip(LEAST_PROBABILITY, 1)))


def brier(label: Ints, probabilities: Floats) -> Floats:
    """Return the squared distance of each note's probabilities from the truth, over all classes.

    Returns:
      float64 [num_notes]; 0 is certain and right, 2 certain and wrong.

    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    truth = np.eye(probabilities.shape[1])[label]
    return np.asarray(((probabilities - truth) ** 2).sum(axis=1))


def equal_mass_bins(confidence: Floats, num_bins: int = NUM_BINS) -> Ints:
    """Return the bin of each note, from the least confident; bins have equally many notes.

    Notes of the same confidence share a bin, so that the order of the notes decides nothing; where
    many do, there are fewer bins.

    Args:
      confidence: float64 [num_notes], the probability of the predicted class.

    Returns:
      int64 [num_notes], from 0 without gaps.
    """
    shares = np.arange(1, num_bins) / num_bins
    edges = np.quantile(confidence, shares, method="inverted_cdf")
    bins = np.searchsorted(edges, confidence, side="left")
    return np.unique(bins, return_inverse=True)[1].astype(np.int64)


def expected_calibration_error(confidence: Floats, correct: NDArray[np.bool_]) -> float:
    """Return the mean distance, over the notes, of a bin's mean confidence from its accuracy.

    Args:
      confidence: float64 [num_notes].
      correct: bool [num_notes].
    """
    bins = equal_mass_bins(confidence)
    gaps = np.bincount(bins, weights=confidence - correct)
    return float(np.abs(gaps).sum() / len(confidence))
