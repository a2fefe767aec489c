"""Training time against the samples of a note, as cost.json has it: a chart and a table."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from markupsafe import Markup

from pipelines.report.drawing import svg
from pipelines.report.finding_rules import middle
from pipelines.report.formats import count, factor, span

_WIDTH: Final = 420
_HEIGHT: Final = 270
_LEFT: Final = 52
_RIGHT: Final = 96
_TOP: Final = 26
_BOTTOM: Final = 44
_LINE: Final = 15

Times = Mapping[str, Sequence[float]]
"""Milliseconds a note, by model, a number a length."""


@dataclass(frozen=True)
class _Plane:
    """Where samples and milliseconds stand, each doubling as far from the next.

    Attributes:
      powers: of two; the milliseconds at the bottom and at the top.
    """

    lengths: Sequence[int]
    powers: tuple[int, int]

    @classmethod
    def around(cls, lengths: Sequence[int], times: Times) -> "_Plane":
        """The smallest one that holds all times."""
        logs = [math.log2(time) for of in times.values() for time in of]
        bottom = math.floor(min(logs))
        return cls(lengths, (bottom, max(math.ceil(max(logs)), bottom + 1)))

    def x(self, samples: float) -> float:
        first, last = (math.log2(self.lengths[end]) for end in (0, -1))
        share = (math.log2(samples) - first) / (last - first)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, milliseconds: float) -> float:
        bottom, top = self.powers
        share = (math.log2(milliseconds) - bottom) / (top - bottom)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def draw_cost(cost: Mapping[str, Any]) -> Markup:
    """Milliseconds a note against samples a note, both by doublings; dashed what is in proportion.

    Args:
      cost: the content of cost.json.
    """
    times = _milliseconds(cost)
    plane = _Plane.around(cost["lengths"], times)
    parts = [svg.opening(_WIDTH, _HEIGHT, "training time by samples a note"), *_axes(plane)]
    for of in times.values():
        parts += _course(plane, of)
    parts += _names(plane, times)
    return Markup("").join([*parts, Markup("</svg>")])


def cost_rows(cost: Mapping[str, Any]) -> list[tuple[str, Sequence[str]]]:
    """Rows of the table: a length each, then the whole span, the exponent and its interval.

    Args:
      cost: the content of cost.json.

    Returns:
      What a row is of, and a cell a model.
    """
    lengths, times, models = cost["lengths"], _milliseconds(cost), cost["models"].values()
    ratios = [factor(of[-1] / of[0]) for of in times.values()]
    return [
        *(
            (f"{count(samples)} samples", [f"{time:.2f} ms" for time in column])
            for samples, column in zip(lengths, zip(*times.values(), strict=True), strict=True)
        ),
        (f"{count(lengths[-1])} against {count(lengths[0])}", ratios),
        ("exponent", [f"{of['exponent']:.2f}" for of in models]),
        ("95 % interval", [span(of["interval"], "{:.2f}") for of in models]),
        ("steps timed of each", [count(len(of["seconds"])) for of in models]),
    ]


def _axes(plane: _Plane) -> Iterator[Markup]:
    left, right = (plane.x(plane.lengths[end]) for end in (0, -1))
    bottom, top = plane.powers
    for milliseconds in (2.0**power for power in range(bottom, top + 1)):
        y = plane.y(milliseconds)
        yield svg.line(left, y, right, y, "grid")
        yield svg.text(left - 8, y + 4, f"{milliseconds:g}", anchor="end", kind="quiet")
    for samples in plane.lengths:
        x, low = plane.x(samples), _HEIGHT - _BOTTOM
        yield svg.line(x, _TOP, x, low, "grid")
        yield svg.text(x, low + 18, count(samples), anchor="middle", kind="quiet")
    middle_x = (left + right) / 2
    yield svg.text(middle_x, _HEIGHT - 6, "samples a note", anchor="middle", kind="quiet")
    yield svg.text(4, 12, "milliseconds a note", kind="quiet")


def _names(plane: _Plane, times: Times) -> Iterator[Markup]:
    """The models' names behind the ends of their lines, apart also where the lines end together."""
    x, free = plane.x(plane.lengths[-1]) + 10, -math.inf
    for name, of in sorted(times.items(), key=lambda item: -item[1][-1]):
        free = max(plane.y(of[-1]) + 4, free + _LINE)
        yield svg.text(x, free, name)


def _course(plane: _Plane, times: Sequence[float]) -> Iterator[Markup]:
    """The measured times of a model, and from its longest notes down what proportion would be."""
    longest, slowest = plane.lengths[-1], times[-1]
    least = max(slowest * plane.lengths[0] / longest, 2.0 ** plane.powers[0])
    end = plane.x(longest), plane.y(slowest)
    yield svg.line(plane.x(longest * least / slowest), plane.y(least), *end, "proportion")
    places = [(plane.x(s), plane.y(t)) for s, t in zip(plane.lengths, times, strict=True)]
    for before, after in pairwise(places):
        yield svg.line(*before, *after, "whisker")
    for place in places:
        yield svg.dot(*place)


def _milliseconds(cost: Mapping[str, Any]) -> Times:
    """The median of each length's steps, shared among the notes of a batch."""
    return {
        name: [
            1_000 * middle(steps) / cost["batch_size"] for steps in zip(*of["seconds"], strict=True)
        ]
        for name, of in cost["models"].items()
    }
