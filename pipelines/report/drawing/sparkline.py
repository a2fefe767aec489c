"""A course of numbers as a line the height of a word."""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

_WIDTH: Final = 100
_HEIGHT: Final = 24
_MARGIN: Final = 3


def draw_sparkline(values: Sequence[float], label: str) -> Markup:
    """The values from left to right, scaled to their own range; the last one is a dot.

    Args:
      values: one at least.
      label: what they are, for who does not see them.
    """
    low, span = min(values), max(values) - min(values)
    steps = max(len(values) - 1, 1)
    points = [
        (
            _MARGIN + (_WIDTH - 2 * _MARGIN) * i / steps,
            # y grows downwards in SVG; values that are all alike run through the middle.
            _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * ((value - low) / span if span else 0.5),
        )
        for i, value in enumerate(values)
    ]
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
        'aria-label="{label}"><polyline fill="none" stroke="currentColor" stroke-width="1.5" '
        'points="{points}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="currentColor"/></svg>'
    ).format(
        w=_WIDTH,
        h=_HEIGHT,
        label=label,
        points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        x=points[-1][0],
        y=points[-1][1],
    )
