"""The spread of a figure over runs that differ in their seed alone."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A figure of several runs.

    Attributes:
      sd: the sample standard deviation; None for one run.
    """

    values: Sequence[float]
    mean: float
    sd: float | None


def spread(values: Sequence[float]) -> Spread:
    """Compute mean and standard deviation of at least one value."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Spread(tuple(values), statistics.fmean(values), sd)
