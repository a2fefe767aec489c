import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from pipelines.evaluate.calibration import (
    LEAST_PROBABILITY,
    brier,
    equal_mass_bins,
    expected_calibration_error,
    negative_log_likelihood,
)
from tests.pipelines.evaluate.tables import certain, drawn


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
