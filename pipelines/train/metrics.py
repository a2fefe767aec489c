"""Figures of a classifier, from its predictions alone; needs no model and no Keras."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from pipelines.notes import CLASSES


def metrics(predictions: pa.Table) -> dict[str, Any]:
    """The figures of the kept notes, and under `all_notes` those of every row.

    Args:
      predictions: the columns of predictions.parquet.

    Returns:
      accuracy, num_scored, confusion_matrix and classification_report, twice.
    """
    kept = predictions.filter(pc.is_null(predictions["verdict"]))
    return _scores(kept) | {"all_notes": _scores(predictions)}


def _scores(predictions: pa.Table) -> dict[str, Any]:
    matrix = confusion_matrix(predictions["label"].to_numpy(), predictions["predicted"].to_numpy())
    return {
        "accuracy": _ratio(int(np.trace(matrix)), int(matrix.sum())),
        "num_scored": int(matrix.sum()),
        "confusion_matrix": matrix.tolist(),
        "classification_report": report_from_confusion(matrix),
    }


def confusion_matrix(labels: ArrayLike, predicted: ArrayLike) -> NDArray[np.int64]:
    """Counts of notes, int64 [10, 10]: rows are the true classes, columns the predicted ones."""
    cells = np.asarray(labels, np.int64) * len(CLASSES) + np.asarray(predicted, np.int64)
    counts = np.bincount(cells, minlength=len(CLASSES) ** 2)
    return counts.reshape(len(CLASSES), len(CLASSES))


def report_from_confusion(matrix: ArrayLike) -> dict[str, list[float]]:
    """Precision, recall, F1 and support of each class, and their averages.

    A ratio without a denominator is 0: the precision of a class that was never predicted.

    Args:
      matrix: counts [10, 10], rows true.

    Returns:
      One row a class in label order, then `macro avg` and `weighted avg`, whose support is all.
    """
    counts = np.asarray(matrix, np.int64)
    hits, predicted, support = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    rows = [
        [_ratio(hit, guesses), _ratio(hit, notes), _ratio(2 * hit, guesses + notes)]
        for hit, guesses, notes in zip(hits, predicted, support, strict=True)
    ]
    total = int(support.sum())
    report = {
        name: [*row, int(notes)] for name, row, notes in zip(CLASSES, rows, support, strict=True)
    }
    return report | {
        "macro avg": [*_average(rows, np.ones(len(rows))), total],
        "weighted avg": [*_average(rows, support), total],
    }


def _average(rows: Sequence[Sequence[float]], weights: NDArray[Any]) -> list[float]:
    if not weights.any():
        return [0.0, 0.0, 0.0]
    return [float(value) for value in np.average(np.array(rows), axis=0, weights=weights)]


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
