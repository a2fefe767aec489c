"""Confidence intervals for notes that cluster by instrument: the two-stage bootstrap.

A resample draws as many instruments as there are, with replacement, and then, each time that an
instrument is drawn, as many of its notes as it has, with replacement. An instrument that is drawn
c times thus gives c independent draws of its n notes, which together are one draw of c n notes:
only the multinomial count of each instrument matters, so no note is copied.

Source: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8; for the
quantiles, Hesterberg, "What Teachers Should Know About the Bootstrap", 2015, section 4.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

LEVEL: Final = 0.95
NUM_RESAMPLES: Final = 2_000
SEED: Final = 0

_ROUNDING: Final = 1e-9

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Resampled:
    """Notes by kind in each resample.

    Attributes:
      totals: int64 [num_resamples, num_kinds], of all drawn notes.
      shares: float64 [num_resamples, num_kinds], of the notes of an instrument, averaged over the
        drawn instruments with equal weight.
    """

    totals: Ints
    shares: Floats


def draw_instruments(
    num_instruments: int, rng: np.random.Generator, *, num_resamples: int = NUM_RESAMPLES
) -> Ints:
    """Draw how often each instrument occurs, int64 [num_resamples, num_instruments]."""
    drawn = rng.integers(num_instruments, size=(num_resamples, num_instruments))
    # Each resample counts in a range of its own; a multinomial draw takes several times as long.
    drawn += num_instruments * np.arange(num_resamples)[:, np.newaxis]
    counts = np.bincount(drawn.ravel(), minlength=drawn.size)
    return counts.reshape(drawn.shape)


def resample_kinds(
    instrument: Ints,
    kind: Ints,
    num_kinds: int,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> Resampled:
    """Count the kinds of note in resamples, for every figure that such counts determine.

    Args:
      instrument: int64 [num_notes], from 0 and without gaps.
      kind: int64 [num_notes], in [0, num_kinds): right or wrong, or a cell of a confusion matrix.
    """
    rng = np.random.default_rng(seed)
    counts = np.zeros((int(instrument.max()) + 1, num_kinds), np.int64)
    np.add.at(counts, (instrument, kind), 1)
    drawn = draw_instruments(len(counts), rng, num_resamples=num_resamples)
    totals = np.zeros((num_resamples, num_kinds), np.int64)
    shares = np.zeros((num_resamples, num_kinds))
    for times, kinds in zip(drawn.T, counts, strict=True):
        present = np.flatnonzero(kinds)
        num_notes = kinds.sum()
        # [num_resamples, len(present)]
        notes = rng.multinomial(times * num_notes, kinds[present] / num_notes)
        totals[:, present] += notes
        shares[:, present] += notes / num_notes
    return Resampled(totals, shares / len(counts))


def resample_means(
    instrument: Ints,
    values: Floats,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> Floats:
    """Return means of values over the notes of resamples, for what cannot be counted.

    Once the instruments are drawn, the sum over their notes is one of so many independent draws. It
    is taken from its normal limit, with its own mean and variance, so that no note is drawn.

    Args:
      instrument: int64 [num_notes], from 0 and without gaps.
      values: float64 [num_notes, num_values].

    Returns:
      float64 [num_resamples, num_values].
    """
    rng = np.random.default_rng(seed)
    num_notes = np.bincount(instrument)
    drawn = draw_instruments(len(num_notes), rng, num_resamples=num_resamples)
    sums = _sum_by(instrument, values)
    deviations = values - (sums / num_notes[:, np.newaxis])[instrument]
    # [num_resamples, num_values]
    expected, variance = drawn @ sums, drawn @ _sum_by(instrument, deviations**2)
    resampled = expected + np.sqrt(variance) * rng.standard_normal(expected.shape)
    return np.asarray(resampled / (drawn @ num_notes)[:, np.newaxis])


def _sum_by(instrument: Ints, values: Floats) -> Floats:
    """Return the sum over each instrument's notes, float64 [num_instruments, num_values]."""
    return np.stack([np.bincount(instrument, weights=column) for column in values.T], axis=1)


def interval(samples: Floats, num_instruments: int) -> Interval | None:
    """Return the 95 % interval between two quantiles of resampled figures.

    With few instruments the quantiles are further out than 2.5 and 97.5 %, as Student's t has
    them: the bare ones would contain the truth too seldom.

    Args:
      samples: float64 [num_resamples].

    Returns:
      None where all resamples agree, since notes that are all right or all wrong show no spread.
    """
    # Sums of the same shares in another order differ in their last digits.
    if np.ptp(samples) < _ROUNDING:
        return None
    tail = _tail(num_instruments)
    low, high = np.quantile(samples, (tail, 1 - tail))
    return float(low), float(high)


def _tail(num_instruments: int) -> float:
    """Return the share of resamples below the interval; it approaches 0.025 with instruments."""
    factor = np.sqrt(num_instruments / (num_instruments - 1))
    return float(special.ndtr(factor * special.stdtrit(num_instruments - 1, (1 - LEVEL) / 2)))
