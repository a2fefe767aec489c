"""Whether probabilities mean what they say."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NUM_BINS: Final = 15
"""Of the reliability table. Source: Guo et al., "On Calibration of Modern Neural Networks", 2017;
of equal mass: Nixon et al., "Measuring Calibration in Deep Learning", 2019."""

LEAST_PROBABILITY: Final = float(np.finfo(np.float32).eps)
"""A true class that got less counts as if it had this, or one note could make the loss infinite;
as scikit-learn's log_loss does for float32."""


def negative_log_likelihood(label: Ints, probabilities: Floats) -> Floats:
    """Minus the natural logarithm of each note's probability of its true class, [num_notes]."""
    true = probabilities[np.arange(len(label)), label]
    return np.asarray(-np.log(true.clip(LEAST_PROBABILITY, 1)))


def brier(label: Ints, probabilities: Floats) -> Floats:
    """Squared distance of each note's probabilities from the truth, over all classes.

    Returns:
      float64 [num_notes]; 0 is certain and right, 2 certain and wrong.

    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950.
    """
    truth = np.eye(probabilities.shape[1])[label]
    return np.asarray(((probabilities - truth) ** 2).sum(axis=1))


def equal_mass_bins(confidence: Floats, num_bins: int = NUM_BINS) -> Ints:
    """The bin of each note, from the least confident; bins hold equally many notes.

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
    """Mean distance, over the notes, of a bin's mean confidence from its accuracy."""
    bins = equal_mass_bins(confidence)
    gaps = np.bincount(bins, weights=confidence - correct)
    return float(np.abs(gaps).sum() / len(confidence))
