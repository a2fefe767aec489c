"""The rules by which a run confirms or contradicts a finding: numbers in, a verdict out."""

import math
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import numpy as np
from scipy import stats

from pipelines.evaluate.bootstrap import LEVEL, Interval

Verdict = Literal["confirmed", "contradicted", "undecided"]

# Exponents with which eight times the samples take eight times as long, to within a quarter.
IN_PROPORTION: Final = (0.9, 1.1)

# Smallest accuracy difference treated as meaningful.
LITTLE: Final = 0.05

# Most of an epoch's time that a cheap layer may add, as a ratio.
LITTLE_TIME: Final = 1.1

# With fewer repeats the variation of a time is unknown.
MIN_REPEATS: Final = 3

# Of the normal distribution, either side of the mean.
_QUANTILE: Final = float(stats.norm.ppf((1 + LEVEL) / 2))


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict on several parts: contradicted by one, confirmed by all of them."""
    found = set(verdicts)
    if "contradicted" in found:
        return "contradicted"
    return "confirmed" if found == {"confirmed"} else "undecided"


def is_positive(ends: Interval | None) -> Verdict:
    """Return whether a figure is surely above 0, or surely below."""
    return is_above(ends, (0, 0))


def is_above(ends: Interval | None, others: Interval | None) -> Verdict:
    """Return whether one interval is above another as a whole, or below."""
    if ends is None or others is None:
        return "undecided"
    if ends[0] > others[1]:
        return "confirmed"
    return "contradicted" if ends[1] < others[0] else "undecided"


def is_little(gain: Interval | None) -> Verdict:
    """Return whether a gain in accuracy, in [-1, 1], is surely small, or surely larger."""
    return is_above((LITTLE, LITTLE), gain)


def is_at_most(figure: float, most: float) -> Verdict:
    """Return whether a figure without an interval is at most a limit, or above it."""
    return "confirmed" if figure <= most else "contradicted"


def is_proportional(exponent: Interval | None) -> Verdict:
    """Return whether an exponent of growth is surely near 1, or surely not."""
    least, most = IN_PROPORTION
    if exponent is None:
        return "undecided"
    if least <= exponent[0] and exponent[1] <= most:
        return "confirmed"
    return "contradicted" if exponent[1] < least or exponent[0] > most else "undecided"


def was_reduced(batch_size: int, ran: Iterable[int]) -> Verdict:
    """Return whether a training ran with smaller batches than it was asked to.

    Args:
      ran: batch size of each training.
    """
    return "confirmed" if any(size < batch_size for size in ran) else "undecided"


def stops_training(num_invalid: int) -> Verdict:
    """Return whether invalid records stop training, by a run that completed.

    Args:
      num_invalid: records of its data that could not be read.
    """
    return "contradicted" if num_invalid else "undecided"


def times_longer(first: Sequence[float], second: Sequence[float]) -> Interval | None:
    """Return the 95 % interval of the ratio of two times, by Welch's t test of logarithms.

    Args:
      first: seconds above 0, of each repeat.

    Returns:
      None where either was repeated too seldom.
    """
    if min(len(first), len(second)) < MIN_REPEATS:
        return None
    before, after = (np.log(np.asarray(times, np.float64)) for times in (first, second))
    if np.ptp(before) == np.ptp(after) == 0:
        ratio = float(np.exp(after[0] - before[0]))
        return ratio, ratio
    ends = stats.ttest_ind(after, before, equal_var=False).confidence_interval(LEVEL)
    return float(np.exp(ends.low)), float(np.exp(ends.high))


def rise(before: float, after: float, *, num_notes: int, widening: float) -> Interval:
    """Return the 95 % interval of a change in accuracy, as if each were of notes of its own.

    Both are of the same notes, whose single answers are not stored; so it is wider than a paired
    interval.

    Args:
      num_notes: that each accuracy is of.
      widening: factor of its width, since notes of one instrument are alike.

    Source: Agresti and Caffo, "Simple and Effective Confidence Intervals for Proportions and
    Differences of Proportions", 2000.
    """
    first, second = ((share * num_notes + 1) / (num_notes + 2) for share in (before, after))
    half = _QUANTILE * standard_error(first, second, num_notes=num_notes + 2) * widening
    return second - first - half, second - first + half


def widening(ends: Interval, *, error: float) -> float:
    """Return how much wider an interval is than one of independent notes; at least 1.

    Args:
      ends: of an interval that resamples instruments.
      error: the standard error of independent notes.
    """
    width = 2 * _QUANTILE * error
    return max(1.0, (ends[1] - ends[0]) / width) if width else 1.0


def standard_error(*shares: float, num_notes: int) -> float:
    """Return the error of a share, or of a difference of two, of independent notes."""
    return math.sqrt(sum(share * (1 - share) for share in shares) / num_notes)
