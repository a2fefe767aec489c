"""The elements that charts are made of, as SVG that takes its colours from the page."""

from markupsafe import Markup, escape


def opening(width: float, height: float, label: str) -> Markup:
    """The start of a chart; `label` says what it shows to who does not see it."""
    return Markup('<svg class="chart" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">').format(
        width, height, label
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A line; `kind` is its class on the page."""
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
        kind, x1, y1, x2, y2
    )


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "name") -> Markup:
    """Words at a place."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, escape(words)
    )


def dot(x: float, y: float, kind: str = "dot") -> Markup:
    """A value."""
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(kind, x, y)


def bar(x: float, y: float, width: float, height: float) -> Markup:
    """A share, as long as it is large; `x` and `y` are of its upper left corner."""
    return Markup('<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:g}"/>').format(
        x, y, width, height
    )
