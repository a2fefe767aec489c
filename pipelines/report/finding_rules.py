"""The rules by which a run confirms or contradicts a finding: numbers in, a verdict out."""

import math
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import numpy as np
from scipy import stats

from pipelines.evaluate.bootstrap import LEVEL, Interval

Verdict = Literal["confirmed", "contradicted", "undecided"]

IN_PROPORTION: Final = (0.9, 1.1)
"""Exponents of which eight times the samples take eight times as long, to within a quarter."""

LITTLE: Final = 0.05
"""Accuracy that counts as little more."""

MIN_REPEATS: Final = 3
"""Fewer say nothing of how much a time wavers."""


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """What holds of several parts: contradicted by one, confirmed by all of them."""
    found = set(verdicts)
    if "contradicted" in found:
        return "contradicted"
    return "confirmed" if found == {"confirmed"} else "undecided"


def is_positive(ends: Interval | None) -> Verdict:
    """Whether a figure is surely above 0, or surely below."""
    return is_above(ends, (0, 0))


def is_above(ends: Interval | None, others: Interval | None) -> Verdict:
    """Whether one interval lies above another as a whole, or below."""
    if ends is None or others is None:
        return "undecided"
    if ends[0] > others[1]:
        return "confirmed"
    return "contradicted" if ends[1] < others[0] else "undecided"


def times_longer(first: Sequence[float], second: Sequence[float]) -> Interval | None:
    """The 95 % interval of how many times as long the second takes, by Welch's t of logarithms.

    Args:
      first: seconds above 0, of each repeat.

    Returns:
      None where either has not been repeated.
    """
    if min(len(first), len(second)) < MIN_REPEATS:
        return None
    before, after = (np.log(np.asarray(of, np.float64)) for of in (first, second))
    if np.ptp(before) == np.ptp(after) == 0:
        ratio = float(np.exp(after[0] - before[0]))
        return ratio, ratio
    ends = stats.ttest_ind(after, before, equal_var=False).confidence_interval(LEVEL)
    return float(np.exp(ends.low)), float(np.exp(ends.high))


def is_proportional(ends: Interval | None) -> Verdict:
    """Whether an exponent of growth is surely near 1, or surely not.

    Args:
      ends: of the exponent.
    """
    least, most = IN_PROPORTION
    if ends is None:
        return "undecided"
    if least <= ends[0] and ends[1] <= most:
        return "confirmed"
    return "contradicted" if ends[1] < least or ends[0] > most else "undecided"


def is_little(gain: Interval | None) -> Verdict:
    """Whether a gain in accuracy is surely little, or surely more.

    Args:
      gain: a share, in [-1, 1].
    """
    return is_above((LITTLE, LITTLE), gain)


def rise(before: float, after: float, *, num_notes: int, widening: float) -> Interval:
    """The 95 % interval of a change in accuracy, as if each were of notes of its own.

    Both are of the same notes, whose answers nobody kept; so it is wider than a paired one.

    Args:
      num_notes: that each accuracy is of.
      widening: factor of its width, since notes of one instrument are alike.

    Source: Agresti and Caffo, "Simple and Effective Confidence Intervals for Proportions and
    Differences of Proportions", 2000.
    """
    first, second = ((share * num_notes + 1) / (num_notes + 2) for share in (before, after))
    error = standard_error(first, second, num_notes=num_notes + 2)
    half = _quantile() * error * widening
    return second - first - half, second - first + half


def widening(ends: Interval, *, error: float) -> float:
    """How much wider an interval with resampled instruments is than one of independent notes.

    Args:
      error: the standard error of independent notes.

    Returns:
      1 at least.
    """
    plain = 2 * _quantile() * error
    return max(1.0, (ends[1] - ends[0]) / plain) if plain else 1.0


def standard_error(*shares: float, num_notes: int) -> float:
    """Of a share, or of a difference of two, each of as many independent notes."""
    return math.sqrt(sum(share * (1 - share) for share in shares) / num_notes)


def was_reduced(asked: int, ran: Iterable[int]) -> Verdict:
    """Whether a training ran with smaller batches than it was asked to; none that did says nothing.

    Args:
      ran: batch size of each training.
    """
    return "confirmed" if any(size < asked for size in ran) else "undecided"


def stops_training(num_invalid: int) -> Verdict:
    """Whether invalid records stop training, of a run that came to its end.

    Args:
      num_invalid: records among its data that could not be read.
    """
    return "contradicted" if num_invalid else "undecided"


def middle(values: Sequence[float]) -> float:
    """The median."""
    return float(np.median(values))


def _quantile() -> float:
    """Of the normal distribution, either side of the mean."""
    return float(stats.norm.ppf((1 + LEVEL) / 2))
