import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report, f1_score
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from pipelines.evaluate.confusion import (
    accuracy,
    confusion_matrix,
    f1,
    macro_f1,
    report_from_confusion,
    weighted_f1,
)
from pipelines.notes import CLASSES
from pipelines.report.published import PUBLISHED, PublishedModel

models = pytest.mark.parametrize("model", PUBLISHED.values(), ids=PUBLISHED.keys())


@models
def test_report_from_confusion_gives_the_published_report(model: PublishedModel) -> None:
    report = report_from_confusion(model.confusion_matrix)
    # Formatted as scikit-learn prints it, where 7 of 40 is 0.17.
    printed = {
        name: (*(float(f"{v:.2f}") for v in row[:3]), row[3]) for name, row in report.items()
    }
    assert printed == model.classification_report
    assert list(report) == list(model.classification_report)


@models
def test_accuracy_of_the_published_matrix_is_the_published_one(model: PublishedModel) -> None:
    assert accuracy(model.confusion_matrix) == model.accuracy


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


def test_confusion_matrix_of_no_notes_has_no_counts() -> None:
    assert confusion_matrix([], [], 3).tolist() == [[0] * 3] * 3
    assert accuracy(np.zeros((3, 3))) == 0


@pytest.mark.parametrize("seed", range(5))
def test_f1_of_a_stack_agrees_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Class 9 never has notes, and is still predicted.
    drawn = [(rng.integers(0, 9, 40), rng.integers(0, 10, 40)) for _ in range(4)]
    matrices = np.stack([confusion_matrix(*pair) for pair in drawn])
    given = {"zero_division": 0}
    for found, (labels, predicted) in zip(f1(matrices), drawn, strict=True):
        expected = f1_score(labels, predicted, average=None, labels=range(10), **given)
        np.testing.assert_allclose(found, expected)
    weighted = [f1_score(*pair, average="weighted", **given) for pair in drawn]
    np.testing.assert_allclose(weighted_f1(matrices), weighted)
    macro = [f1_score(*pair, average="macro", labels=np.unique(pair[0]), **given) for pair in drawn]
    np.testing.assert_allclose(macro_f1(matrices), macro)
    np.testing.assert_allclose(accuracy(matrices), [accuracy_score(*pair) for pair in drawn])


@models
def test_macro_f1_is_that_of_the_report_where_each_class_has_notes(model: PublishedModel) -> None:
    report = report_from_confusion(model.confusion_matrix)
    assert macro_f1(model.confusion_matrix) == pytest.approx(report["macro avg"][2])
    assert weighted_f1(model.confusion_matrix) == pytest.approx(report["weighted avg"][2])
