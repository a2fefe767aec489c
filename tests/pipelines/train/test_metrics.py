from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import classification_report
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from pipelines.notes import CLASSES
from pipelines.train.metrics import confusion_matrix, metrics, report_from_confusion

# Source: A. Jamal, U. Karda, O. Sarde (Rochester Institute of Technology), two 1-D CNNs on NSynth:
# confusion matrix and classification report of each model on the 4,096 test notes.
PRELIMINARY_MATRIX = [
    [461, 14, 5, 4, 317, 0, 24, 12, 4, 2],
    [9, 153, 7, 0, 77, 0, 8, 14, 0, 1],
    [44, 43, 7, 0, 84, 0, 2, 0, 0, 0],
    [77, 25, 9, 13, 482, 0, 22, 9, 15, 0],
    [99, 12, 0, 38, 612, 0, 3, 0, 2, 0],
    [44, 0, 0, 8, 150, 0, 0, 0, 0, 0],
    [29, 82, 11, 1, 97, 0, 242, 25, 6, 9],
    [1, 62, 1, 0, 100, 0, 19, 51, 0, 1],
    [48, 44, 0, 4, 126, 0, 34, 2, 38, 10],
    [0, 10, 0, 0, 3, 0, 16, 8, 0, 104],
]
PRELIMINARY_REPORT = {
    "bass": [0.57, 0.55, 0.56, 843],
    "brass": [0.34, 0.57, 0.43, 269],
    "flute": [0.17, 0.04, 0.06, 180],
    "guitar": [0.19, 0.02, 0.04, 652],
    "keyboard": [0.30, 0.80, 0.43, 766],
    "mallet": [0.00, 0.00, 0.00, 202],
    "organ": [0.65, 0.48, 0.56, 502],
    "reed": [0.42, 0.22, 0.29, 235],
    "string": [0.58, 0.12, 0.20, 306],
    "vocal": [0.82, 0.74, 0.78, 141],
    "macro avg": [0.41, 0.35, 0.33, 4096],
    "weighted avg": [0.41, 0.41, 0.36, 4096],
}
OPTIMISED_MATRIX = [
    [813, 0, 0, 6, 14, 8, 2, 0, 0, 0],
    [0, 214, 4, 2, 1, 0, 16, 25, 3, 4],
    [0, 2, 163, 0, 1, 0, 11, 1, 1, 1],
    [3, 0, 0, 597, 42, 6, 1, 0, 0, 3],
    [13, 0, 0, 50, 678, 15, 6, 1, 3, 0],
    [8, 0, 0, 3, 20, 166, 5, 0, 0, 0],
    [1, 2, 3, 4, 4, 0, 456, 15, 3, 14],
    [0, 17, 1, 0, 2, 0, 11, 199, 3, 2],
    [6, 4, 1, 4, 5, 2, 10, 6, 268, 0],
    [0, 0, 0, 0, 0, 0, 2, 0, 0, 139],
]
OPTIMISED_REPORT = {
    "bass": [0.96, 0.96, 0.96, 843],
    "brass": [0.90, 0.80, 0.84, 269],
    "flute": [0.95, 0.91, 0.93, 180],
    "guitar": [0.90, 0.92, 0.91, 652],
    "keyboard": [0.88, 0.89, 0.88, 766],
    "mallet": [0.84, 0.82, 0.83, 202],
    "organ": [0.88, 0.91, 0.89, 502],
    "reed": [0.81, 0.85, 0.83, 235],
    "string": [0.95, 0.88, 0.91, 306],
    "vocal": [0.85, 0.99, 0.91, 141],
    "macro avg": [0.89, 0.89, 0.89, 4096],
    "weighted avg": [0.90, 0.90, 0.90, 4096],
}


def predictions(labels: Any, predicted: Any, verdicts: list[str | None]) -> pa.Table:
    return pa.table(
        {"label": labels, "predicted": predicted, "verdict": pa.array(verdicts, pa.string())}
    )


@pytest.mark.parametrize(
    ("matrix", "published"),
    [(PRELIMINARY_MATRIX, PRELIMINARY_REPORT), (OPTIMISED_MATRIX, OPTIMISED_REPORT)],
    ids=["preliminary", "optimised"],
)
def test_report_from_confusion_gives_the_published_report(
    matrix: list[list[int]], published: dict[str, list[float]]
) -> None:
    report = report_from_confusion(matrix)
    # Formatted as scikit-learn prints it, where 7 of 40 is 0.17.
    printed = {
        name: [*(float(f"{v:.2f}") for v in row[:3]), row[3]] for name, row in report.items()
    }
    assert printed == published
    assert list(report) == list(published)


@pytest.mark.parametrize("seed", range(5))
def test_report_from_confusion_agrees_with_scikit_learn(seed: int) -> None:
    labels, predicted = np.random.default_rng(seed).integers(0, 10, size=(2, 60))
    labels = np.where(labels == 3, 4, labels)
    expected = classification_report(
        labels,
        predicted,
        labels=range(10),
        target_names=CLASSES,
        output_dict=True,
        zero_division=0,
    )
    expected.pop("accuracy", None)
    report = report_from_confusion(confusion_matrix(labels, predicted))
    assert list(report) == list(expected)
    for name, row in report.items():
        assert row == pytest.approx(list(expected[name].values()))


def test_confusion_matrix_agrees_with_scikit_learn() -> None:
    labels, predicted = np.random.default_rng(0).integers(0, 9, size=(2, 200))
    np.testing.assert_array_equal(
        confusion_matrix(labels, predicted),
        sklearn_confusion_matrix(labels, predicted, labels=range(10)),
    )


def test_metrics_are_of_the_kept_notes_and_beside_them_of_all() -> None:
    found = metrics(predictions([0, 1, 9, 9], [0, 1, 9, 0], [None, "silent", None, None]))
    every = found.pop("all_notes")
    assert (found["num_scored"], found["accuracy"]) == (3, pytest.approx(2 / 3))
    assert (every["num_scored"], every["accuracy"]) == (4, 0.75)
    assert found["confusion_matrix"][9] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert every["classification_report"]["brass"] == [1.0, 1.0, 1.0, 1]
    assert set(every) == set(found)


def test_metrics_give_the_published_accuracy() -> None:
    matrix = np.array(OPTIMISED_MATRIX)
    labels, predicted = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices((10, 10)))
    found = metrics(predictions(labels, predicted, [None] * len(labels)))
    assert found["accuracy"] == 0.901611328125
    assert found["confusion_matrix"] == OPTIMISED_MATRIX
