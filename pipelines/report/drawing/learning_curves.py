"""Courses of training of several runs over each other, as SVG that follows the page into the dark.

A run is told by the number at the end of its line, by its colour and by its dashes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from pipelines.report.drawing.palette import run_style
from pipelines.report.drawing.svg import line, opening, text
from pipelines.report.formats import plural

_WIDTH: Final = 448
_HEIGHT: Final = 280
_LEFT: Final = 38
_RIGHT: Final = 30
_TOP: Final = 24
_BOTTOM: Final = 40
_APART: Final = 13
"""Between two numbers, from line to line."""

Place = Callable[[float, float], tuple[float, float]]
"""Where an epoch and a value lie in a chart."""


@dataclass(frozen=True)
class Course:
    """One quantity of a run by epoch.

    Attributes:
      number: of the run on the page, from 1.
      label: of the run, for who points at its line.
    """

    number: int
    label: str
    epochs: Sequence[float]
    values: Sequence[float]

    @property
    def points(self) -> list[tuple[float, float]]:
        """Epochs and values, without those that a training that blew up left as no number."""
        pairs = zip(self.epochs, self.values, strict=True)
        return [(epoch, value) for epoch, value in pairs if math.isfinite(value)]


def top_of(courses: Sequence[Course]) -> float:
    """The round number at which an axis from 0 has room for all courses."""
    highest = max((value for course in courses for _, value in course.points), default=1.0)
    step = _step(highest)
    return max(math.ceil(round(highest / step, 9)), 1) * step


def draw_courses(
    courses: Sequence[Course], quantity: str, *, top: float, numbered: bool = True
) -> Markup:
    """All courses on one pair of axes.

    Args:
      quantity: heads the chart.
      top: where the vertical axis ends, which begins at 0.
      numbered: whether each line ends in the number of its run.
    """
    epochs = [round(epoch) for course in courses for epoch, _ in course.points]
    first, last = min(epochs, default=1), max(epochs, default=1)

    def place(epoch: float, value: float) -> tuple[float, float]:
        # The only epoch of a training stands in the middle.
        share = (epoch - first) / (last - first) if last > first else 0.5
        x = _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
        return x, _TOP + (1 - min(value / top, 1)) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [opening(_WIDTH, _HEIGHT, f"{quantity} by epoch, {plural(len(courses), 'run')}")]
    parts += [text(0, 12, quantity, kind="quiet"), *_axes(place, first, last, top)]
    ends = []
    for course in courses:
        if points := [place(*point) for point in course.points]:
            parts.append(_drawn(course, points))
            ends.append((points[-1], course.number))
    heights = _spread([y for (_, y), _ in ends])
    for ((x, _), number), y in zip(ends, heights, strict=True):
        if numbered:
            parts.append(_number(x + 8, y + 4, number))
    return Markup("").join([*parts, Markup("</svg>")])


def draw_key(number: int) -> Markup:
    """The line of a run beside its name."""
    return Markup(
        '<svg class="key-line" viewBox="0 0 34 10" width="34" height="10" aria-hidden="true">'
        '<polyline class="{}" points="0,5 34,5"/></svg>'
    ).format(_kind(number))


def _axes(place: Place, first: int, last: int, top: float) -> list[Markup]:
    parts = []
    step = _step(top)
    for number in range(round(top / step) + 1):
        _, y = place(first, number * step)
        parts.append(line(_LEFT, y, _WIDTH - _RIGHT, y, "grid"))
        parts.append(text(_LEFT - 7, y + 4, f"{number * step:g}", anchor="end", kind="quiet"))
    for epoch in range(first, last + 1, max(math.ceil((last - first) / 10), 1)):
        x, bottom = place(epoch, 0)
        parts.append(text(x, bottom + 17, str(epoch), anchor="middle", kind="quiet"))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [*parts, text(middle, _HEIGHT - 4, "epoch", anchor="middle", kind="quiet")]


def _drawn(course: Course, points: Sequence[tuple[float, float]]) -> Markup:
    # The title is what a browser shows of a line that is pointed at.
    return Markup(
        '<g class="{}"><title>{}</title><polyline points="{}"/>'
        '<circle cx="{:.1f}" cy="{:.1f}" r="3"/></g>'
    ).format(
        _kind(course.number),
        course.label,
        " ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        *points[-1],
    )


def _number(x: float, y: float, number: int) -> Markup:
    colour, _ = run_style(number)
    return Markup('<text class="colour-{}" x="{:.1f}" y="{:.1f}">{}</text>').format(
        colour, x, y, number
    )


def _kind(number: int) -> str:
    return "course colour-{} dashes-{}".format(*run_style(number))


def _spread(heights: Sequence[float]) -> list[float]:
    """The heights in their order, moved to both sides until no number covers another."""
    low, high = float(_TOP), float(_HEIGHT - _BOTTOM)
    apart = min(_APART, (high - low) / max(len(heights) - 1, 1))
    order = sorted(range(len(heights)), key=lambda i: (heights[i], i))
    down, up = list(heights), list(heights)
    for rank, i in enumerate(order):
        floor = down[order[rank - 1]] + apart if rank else low
        # As far down as leaves room for those that follow.
        down[i] = min(max(heights[i], floor), high - apart * (len(order) - 1 - rank))
    for rank, i in reversed(list(enumerate(order))):
        ceiling = up[order[rank + 1]] - apart if rank + 1 < len(order) else high
        up[i] = max(min(heights[i], ceiling), low + apart * rank)
    return [(one + other) / 2 for one, other in zip(down, up, strict=True)]


def _step(highest: float) -> float:
    """A round step that takes an axis from 0 to `highest` in two to five of them."""
    size = 10.0 ** math.floor(math.log10(highest)) if highest > 0 else 1.0
    return next(size * part for part in (0.2, 0.25, 0.5, 1, 2) if highest <= 5 * size * part)
