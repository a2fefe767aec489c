"""The elements of charts that are drawn by hand; their colours are classes of the page's style."""

from markupsafe import Markup, escape


def opened(width: float, height: float, label: str) -> Markup:
    """The beginning of a chart.

    Args:
      label: what it shows, for who does not see it.
    """
    return Markup('<svg class="chart" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">').format(
        width, height, label
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A line of the class `kind`."""
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
        kind, x1, y1, x2, y2
    )


def dot(x: float, y: float) -> Markup:
    """A measured value."""
    return Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(x, y)


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "name") -> Markup:
    """Words at a place, of the class `kind`."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, escape(words)
    )
