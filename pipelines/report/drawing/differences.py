"""Paired differences with their intervals, as SVG that takes its colours from the page."""

import math
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from pipelines.evaluate.comparison import Difference
from pipelines.report.drawing.svg import dot, line, opening, text

_WIDTH: Final = 448
_ROW: Final = 24
_LEFT: Final = 150
_RIGHT: Final = 14
_BOTTOM: Final = 40


def reach_of(differences: Sequence[Difference]) -> float:
    """How far from 0 an axis has to go for all of them: 0.05, or tenths."""
    ends = [abs(end) for of in differences for end in (of.difference, *(of.interval or ()))]
    farthest = max(ends, default=0.0)
    return 0.05 if farthest <= 0.05 else math.ceil(round(10 * farthest, 9)) / 10


def draw_differences(rows: Sequence[tuple[str, Difference]], *, reach: float) -> Markup:
    """A row a difference: a dot, and a whisker where there is an interval; 0 in the middle.

    Args:
      rows: each with its name.
      reach: of the axis, to both sides of 0.
    """
    height = _ROW * len(rows) + _BOTTOM
    parts = [opening(_WIDTH, height, "differences in accuracy with their intervals")]
    for share in (-1, -0.5, 0, 0.5, 1):
        x = _x(share * reach, reach)
        parts.append(line(x, 0, x, height - _BOTTOM + 4, "grid zero" if share == 0 else "grid"))
        shown = f"{100 * share * reach:+.3g}" if share else "0"
        parts.append(text(x, height - 20, shown, anchor="middle", kind="quiet"))
    words = "points of accuracy, this minus the first"
    parts.append(text(_x(0, reach), height - 4, words, anchor="middle", kind="quiet"))
    for number, (name, of) in enumerate(rows):
        y = _ROW * (number + 0.5)
        parts.append(text(0, y + 4, name))
        if of.interval:
            parts.append(
                line(_x(of.interval[0], reach), y, _x(of.interval[1], reach), y, "whisker")
            )
        parts.append(dot(_x(of.difference, reach), y))
    return Markup("").join([*parts, Markup("</svg>")])


def _x(difference: float, reach: float) -> float:
    share = (difference / reach + 1) / 2
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
