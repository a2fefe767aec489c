"""Charts as SVG elements of a page, in the colours of the page.

matplotlib draws them in placeholder colours, which are then replaced by the page's CSS colours, so
that a chart is light or dark as the page is. Text stays text: it has the page's font and can be
copied. The same drawing gives the same bytes.
"""

import io
import re
import threading
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipelines.text import visible

# Colours that no chart draws otherwise.
INK: Final = "#010201"
QUIET: Final = "#010202"
RULE: Final = "#010203"
MARK: Final = "#010204"
AGAINST: Final = "#010205"
_PAGE_COLOURS: Final = {
    INK: "currentColor",
    QUIET: "var(--quiet)",
    RULE: "var(--rule)",
    MARK: "var(--mark)",
    AGAINST: "var(--against)",
}

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    # The ids of an SVG file are random without it.
    "svg.hashsalt": "report",
    "text.parse_math": False,
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.xmargin": 0.03,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.5,
}

# Height of a label as a share of the height of usual axes.
_LABEL_HEIGHT: Final = 0.075

# The settings of matplotlib belong to the process: threads that draw take turns.
SETTINGS_LOCK: Final = threading.Lock()


def run_colour(place: int) -> str:
    """Return the colour to draw a run in, which becomes the page's `--run-<place>`."""
    return f"#0103{place:02x}"


def figure(
    draw: Callable[[Axes], object],
    label: str,
    *,
    size: tuple[float, float] = (4.3, 2.4),
    titles: Mapping[str, str] | None = None,
) -> Markup:
    """Return a chart as an SVG element.

    Args:
      draw: fills the axes.
      label: what the chart shows, for readers who do not see it.
      size: width and height in inches; a page scales it to the width that it has.
      titles: what a browser shows when an artist is pointed at, by the artist's gid.
    """
    with SETTINGS_LOCK, mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Names may hold any character; the page's font draws them, not the one measured with.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        drawing = Figure(figsize=size, layout="constrained")
        draw(drawing.add_subplot())
        text = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        drawing.savefig(text, format="svg", metadata=nothing, transparent=True)
    svg = text.getvalue()
    # The drawing's own style element would be one of the whole page.
    svg = re.sub(r"<style.*?</style>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r"<[^>]+>", _shorten, re.sub(r">\s+<", "><", svg))
    for gid, title in (titles or {}).items():
        named = f'<g class="pointed"><title>{escape(title)}</title>'
        svg = svg.replace(f'<g id="{gid}">', named)
    head = f'<svg class="chart" role="img" aria-label="{escape(label)}"'
    # Its namespaces and its size in points are of a file of its own.
    svg = re.sub(r"^<svg.*?( viewBox=\"[^\"]*\")[^>]*", lambda old: head + old[1], _own_ids(svg))
    # matplotlib escapes the text that it writes.
    return Markup(svg.replace("xlink:href", "href"))  # noqa: S704


def label_rows(axes: Axes, names: Sequence[str], beside: Sequence[str]) -> None:
    """Make a row of each name, from the top, with quiet words at the right of its row."""
    axes.set_yticks(range(len(names)), [visible(name) for name in names], color=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    for row, words in enumerate(beside):
        _annotate(axes, words, 1, row, coordinates=("axes fraction", "data"), color=QUIET)


def label_ends(axes: Axes, ends: Sequence[tuple[float, float]], labels: Sequence[Any]) -> None:
    """Write a label after the last point of each line, moved apart where two would overlap.

    Args:
      ends: the last points, in data coordinates; the limits of the axes are set already.
      labels: a text and a colour each.
    """
    if not ends:
        return
    places = (axes.transData - axes.transAxes).transform(np.array(ends, np.float64))
    for (x, _), y, (words, colour) in zip(places, spread(places[:, 1]), labels, strict=True):
        _annotate(axes, words, x, y, coordinates="axes fraction", color=colour)


def spread(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return heights in [0, 1] moved up and down, in their order, until no labels overlap."""
    order = np.argsort(heights, kind="stable")
    steps = np.arange(len(heights)) * min(_LABEL_HEIGHT, 1 / max(len(heights) - 1, 1))
    lowest = heights[order] - steps
    up = np.maximum.accumulate(lowest)
    down = np.minimum.accumulate(lowest[::-1])[::-1]
    found = np.empty_like(heights)
    found[order] = np.clip((up + down) / 2, 0, 1 - steps[-1]) + steps
    return found


def _annotate(axes: Axes, words: str, x: float, y: float, *, coordinates: Any, color: str) -> None:
    axes.annotate(
        visible(words),
        (x, y),
        xycoords=coordinates,
        xytext=(6, 0),
        textcoords="offset points",
        va="center_baseline",
        color=color,
        annotation_clip=False,
    )


def _shorten(tag: re.Match[str]) -> str:
    """Return a tag with coordinates of two decimals, in the colours of the page."""
    short = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", tag[0])
    for colour, name in _PAGE_COLOURS.items():
        short = short.replace(colour, name)
    return re.sub(r"#0103(\w\w)", lambda place: f"var(--run-{int(place[1], 16)})", short)


def _own_ids(svg: str) -> str:
    """Return the drawing with ids that no other has; matplotlib gives each figure the same."""
    prefix = f"f{zlib.crc32(svg.encode()):08x}-"
    used = set(re.findall(r"#([\w.-]+)", svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", svg)
    return re.sub(r'(href="|url\()#', rf"\1#{prefix}", svg)
