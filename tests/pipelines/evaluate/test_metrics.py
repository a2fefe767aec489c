import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    classification_report,
    f1_score,
    log_loss,
)
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix

from pipelines.evaluate.metrics import (
    LEAST_PROBABILITY,
    accuracy,
    brier,
    confusion_matrix,
    equal_mass_bins,
    expected_calibration_error,
    f1,
    macro_f1,
    negative_log_likelihood,
    report_from_confusion,
    weighted_f1,
)
from pipelines.notes import CLASSES
from pipelines.report.published import PUBLISHED, PublishedModel
from tests.pipelines.evaluate.tables import certain, drawn

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


def test_negative_log_likelihood_agrees_with_scikit_learn() -> None:
    notes = drawn(500)
    found = negative_log_likelihood(notes.label, notes.probabilities).mean()
    # As float32, as the model gave them: their sums are 1 to that precision only.
    given = notes.probabilities.astype(np.float32)
    assert found == pytest.approx(log_loss(notes.label, given, labels=range(10)), rel=1e-6)


def test_negative_log_likelihood_of_what_was_held_impossible_is_finite() -> None:
    found = negative_log_likelihood(np.array([0, 1]), certain([0, 0]).astype(float))
    np.testing.assert_allclose(found, [0, -np.log(LEAST_PROBABILITY)])
    expected = log_loss([0, 1], certain([0, 0]), labels=range(10))
    assert found.mean() == pytest.approx(expected, rel=1e-6)


def test_brier_agrees_with_scikit_learn() -> None:
    notes = drawn(500)
    found = brier(notes.label, notes.probabilities)
    given = notes.probabilities.astype(np.float32)
    expected = brier_score_loss(notes.label, given, labels=range(10), scale_by_half=False)
    assert found.mean() == pytest.approx(expected, rel=1e-6)


def test_brier_goes_from_right_to_wrong() -> None:
    found = brier(np.array([0, 1, 2]), np.array([[1, 0, 0], [1, 0, 0], [1 / 3] * 3]))
    np.testing.assert_allclose(found, [0, 2, 2 / 3])


@pytest.mark.parametrize("num_notes", [15, 16, 29, 400, 1_001])
def test_equal_mass_bins_hold_equally_many_notes(num_notes: int) -> None:
    confidence = np.random.default_rng(num_notes).random(num_notes)
    bins = equal_mass_bins(confidence)
    sizes = np.bincount(bins)
    assert len(sizes) == 15
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(bins[np.argsort(confidence)]) >= 0).all()


def test_equal_mass_bins_put_equals_together() -> None:
    confidence = np.repeat([1.0, 0.5, 0.9], [70, 20, 10])
    bins = equal_mass_bins(confidence)
    assert bins.tolist() == [2] * 70 + [0] * 20 + [1] * 10
    assert equal_mass_bins(np.ones(8)).tolist() == [0] * 8


def test_expected_calibration_error_agrees_with_scikit_learn() -> None:
    notes = drawn(600)
    confidence = notes.probabilities.max(axis=1)
    accuracies, confidences = calibration_curve(
        notes.correct, confidence, n_bins=15, strategy="quantile"
    )
    # 600 notes make 15 bins of 40.
    expected = np.abs(accuracies - confidences).mean()
    found = expected_calibration_error(confidence, notes.correct)
    assert found == pytest.approx(expected, abs=1e-12)


def test_expected_calibration_error_of_the_always_certain_is_what_they_miss() -> None:
    correct = np.array([True] * 7 + [False] * 3)
    assert expected_calibration_error(np.ones(10), correct) == pytest.approx(0.3)
    assert expected_calibration_error(np.full(10, 0.7), correct) == pytest.approx(0)
