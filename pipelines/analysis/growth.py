"""How a time grows with the number of samples: the exponent of a power law, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from pipelines.evaluate.bootstrap import LEVEL, Interval

MIN_ROUNDS: Final = 3
"""Fewer rounds give no interval."""


@dataclass(frozen=True)
class Growth:
    """Seconds against samples, fitted as seconds = constant x samples ** exponent.

    Attributes:
      exponent: 1 where time grows in proportion, 0 where it does not grow.
      interval: of 95 %, by Student's t over the rounds; None where they are too few. It holds how
        much the machine wavered, not how another machine would do.
    """

    exponent: float
    interval: Interval | None


def growth(lengths: Sequence[int], rounds: Sequence[Sequence[float]]) -> Growth:
    """The mean over rounds of the slope of log seconds against log samples.

    Args:
      lengths: samples a note, two different ones at least.
      rounds: seconds above 0, [num_rounds, num_lengths].
    """
    logs = np.log(np.asarray(lengths, np.float64))
    slopes = np.polyfit(logs, np.log(np.asarray(rounds, np.float64)).T, 1)[0]
    exponent = float(slopes.mean())
    if len(slopes) < MIN_ROUNDS:
        return Growth(exponent, None)
    error = float(slopes.std(ddof=1)) / len(slopes) ** 0.5
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(slopes) - 1)) * error
    return Growth(exponent, (exponent - half, exponent + half))
