"""The charts of the pages over several runs; see `figure` for how they are drawn.

The number at the end of its line, its colour and its dashes distinguish a run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from markupsafe import Markup
from matplotlib.axes import Axes

from pipelines.evaluate.comparison import Difference
from pipelines.report.drawing.charts import label_epochs
from pipelines.report.drawing.figure import INK, MARK, figure, label_ends, label_rows, run_colour
from pipelines.report.drawing.palette import RUN_DASHES, run_style
from pipelines.report.formats import plural

_SPARKLINE: Final = (100, 24, 3)


@dataclass(frozen=True)
class LearningCurve:
    """One quantity of a run by epoch.

    Attributes:
      number: of the run on the page, from 1.
      label: of the run, shown when its line is pointed at.
    """

    number: int
    label: str
    epochs: Sequence[float]
    values: Sequence[float]

    @property
    def points(self) -> list[tuple[float, float]]:
        """Return epochs and values, without those that are not finite."""
        pairs = zip(self.epochs, self.values, strict=True)
        return [(epoch, value) for epoch, value in pairs if math.isfinite(value)]


def draw_learning_curves(
    curves: Sequence[LearningCurve], quantity: str, *, top: float | None, numbered: bool = True
) -> Markup:
    """Draw all curves on one pair of axes.

    Args:
      top: where the vertical axis ends, which begins at 0; None for room for all curves.
      numbered: whether each line ends with the number of its run.
    """
    return figure(
        partial(_plot_curves, curves=curves, quantity=quantity, top=top, numbered=numbered),
        f"{quantity} by epoch, {plural(len(curves), 'run')}",
        size=(4.3, 2.7),
        titles={f"run-{curve.number}": curve.label for curve in curves},
    )


def _plot_curves(
    axes: Axes,
    curves: Sequence[LearningCurve],
    quantity: str,
    *,
    top: float | None,
    numbered: bool,
) -> None:
    drawn = [curve for curve in curves if curve.points]
    for curve in drawn:
        place, dashes = run_style(curve.number)
        (line,) = axes.plot(
            *zip(*curve.points, strict=True), color=run_colour(place), gid=f"run-{curve.number}"
        )
        line.set(linestyle=RUN_DASHES[dashes], clip_on=False)
        axes.plot(*curve.points[-1], "o", color=run_colour(place), ms=4, clip_on=False)
    label_epochs(axes)
    axes.set_ylabel(quantity)
    highest = max((value for curve in drawn for _, value in curve.points), default=1.0)
    axes.set_ylim(0, top or 1.05 * highest or 1.0)
    if numbered:
        labels = [(str(c.number), run_colour(run_style(c.number)[0])) for c in drawn]
        label_ends(axes, [curve.points[-1] for curve in drawn], labels)


def draw_differences(rows: Sequence[tuple[str, Difference]], *, base: str = "the first") -> Markup:
    """Draw a row for each difference in accuracy: a dot, and its interval where there is one.

    Args:
      base: what is subtracted, in words.
    """
    size = (4.3, 0.22 * len(rows) + 0.55)
    label = "differences in accuracy with their intervals"
    return figure(partial(plot_differences, rows=rows, base=base), label, size=size)


def plot_differences(
    axes: Axes, rows: Sequence[tuple[str, Difference]], *, base: str = "the first"
) -> None:
    """Plot differences in points of accuracy, with 0 in the middle."""
    axes.axvline(0, color=INK, linewidth=0.8)
    reach = 5.0
    for row, (_, difference) in enumerate(rows):
        ends = [100 * end for end in difference.interval or (difference.difference,) * 2]
        axes.plot(ends, [row] * 2, color=MARK)
        axes.plot(100 * difference.difference, row, "o", color=MARK, ms=5)
        reach = max(reach, *(1.05 * abs(end) for end in ends))
    label_rows(axes, [name for name, _ in rows], [])
    axes.set_xlim(-reach, reach)
    axes.set_xlabel(f"points of accuracy, this minus {base}")


def draw_key(number: int) -> Markup:
    """Draw the line of a run, to be shown beside its name."""
    place, dashes = run_style(number)
    style = RUN_DASHES[dashes]
    pattern = "" if isinstance(style, str) else " ".join(f"{2 * length:g}" for length in style[1])
    return Markup(
        '<svg class="key-line" viewBox="0 0 34 10" width="34" height="10" aria-hidden="true">'
        '<path d="M0 5H34" stroke="var(--run-{})" stroke-width="2" stroke-dasharray="{}"/></svg>'
    ).format(place, pattern)


def draw_sparkline(values: Sequence[float], label: str) -> Markup:
    """Draw values as a line of the height of a word, scaled to their own range.

    It is a single path: the page over all runs has thousands of them.

    Args:
      values: at least one.
      label: what they are, for readers who do not see them.
    """
    width, height, margin = _SPARKLINE
    low, span = min(values), max(values) - min(values)
    step = (width - 2 * margin) / max(len(values) - 1, 1)
    # y grows downwards in SVG; values that are all alike run through the middle.
    shares = [(value - low) / span if span else 0.5 for value in values]
    points = [
        f"{margin + step * i:.1f} {height - margin - (height - 2 * margin) * share:.1f}"
        for i, share in enumerate(shares)
    ]
    # A line of no length, with round ends, is a dot.
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
        'aria-label="{label}"><g fill="none" stroke="currentColor" stroke-linecap="round">'
        '<path stroke-width="1.5" d="M{line}"/><path stroke-width="4.4" d="M{last}h0"/></g></svg>'
    ).format(w=width, h=height, label=label, line="L".join(points), last=points[-1])
