"""The drawings of a report, as SVG elements that stand inside an HTML page.

Figures with axes are matplotlib's, through its object interface. The many small waveforms are one
path each, written here: matplotlib would add its weight to every one of them. No text of a record
is ever drawn, so nothing here needs escaping; names belong to the page.
"""

import io
import re
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pipelines.notes import STORED_RATE_HZ
from pipelines.report.drawing.palette import TRAINING_COLOUR, VALIDATION_COLOUR

_INCHES: Final = (4.3, 2.4)

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",  # text stays text: it takes the page's font and can be copied
    "svg.hashsalt": "report",  # the same drawing has the same ids on each run
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
}

# matplotlib's settings are global: two reports drawn at once in one process take turns.
SETTINGS_LOCK: Final = threading.Lock()

_NUM_COLUMNS: Final = 160
_HALF_HEIGHT: Final = 100


def draw_curves(
    history: Mapping[str, Sequence[float]],
    quantity: str,
    *,
    limits: tuple[float, float] | None = None,
) -> Markup:
    """One quantity of training and validation by epoch.

    Args:
      history: "epoch", and by the same length `quantity` and "val_" + `quantity`.
      quantity: "loss" or "accuracy".
      limits: of its axis, the same for all models; of the data by default.
    """

    def draw(axes: Axes) -> None:
        epoch = history["epoch"]
        # Marker and dash tell the two apart where colour cannot; one epoch shows as a point.
        axes.plot(epoch, history[quantity], "o-", color=TRAINING_COLOUR, ms=4, label="training")
        axes.plot(
            epoch,
            history[f"val_{quantity}"],
            "s--",
            color=VALIDATION_COLOUR,
            ms=4,
            label="validation",
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        if quantity == "accuracy":
            axes.set_ylim(0, 1)  # one scale for all models
        elif limits:
            axes.set_ylim(*limits)
        axes.legend(frameon=False)

    return _draw(draw, f"{quantity} of training and validation by epoch")


def draw_waveform(audio: NDArray[np.float32], colour: str) -> Markup:
    """A whole note: the lowest and highest sample of each short stretch.

    Args:
      audio: float32 [num_samples], at the stored rate.
      colour: of the wave.
    """

    def draw(axes: Axes) -> None:
        low, high = _envelope(audio, num_columns=400)
        seconds = np.linspace(0, len(audio) / STORED_RATE_HZ, len(low))
        axes.fill_between(seconds, low, high, color=colour, linewidth=0.5)
        axes.set_xlim(0, seconds[-1])
        axes.set_xlabel("seconds")
        axes.set_ylabel("amplitude")

    return _draw(draw, "waveform of a whole note")


def draw_close_up(audio: NDArray[np.float32], colour: str, *, seconds: float) -> Markup:
    """Each sample around the loudest one; arguments as in `draw_waveform`."""
    num_samples = min(round(seconds * STORED_RATE_HZ), len(audio))
    start = int(np.abs(audio).argmax()) - num_samples // 2
    start = min(max(start, 0), len(audio) - num_samples)

    def draw(axes: Axes) -> None:
        at = np.arange(start, start + num_samples)
        axes.plot(at / STORED_RATE_HZ, audio[at], ".-", color=colour, ms=3, linewidth=0.8)
        axes.margins(x=0)
        axes.set_xlabel("seconds")
        axes.set_ylabel("amplitude")

    return _draw(draw, "the waveform around the loudest sample")


def draw_thumbnail(audio: NDArray[np.float32], colour: str) -> Markup:
    """A small waveform without axes, scaled to its own peak.

    Args:
      audio: float32 [num_samples].
      colour: of the wave.
    """
    low, high = _envelope(audio, num_columns=_NUM_COLUMNS)
    peak = float(np.abs(audio).max()) or 1.0  # silence is a flat line
    scale = -0.95 * _HALF_HEIGHT / peak  # y grows downwards in SVG
    upper = [f"{x} {y}" for x, y in enumerate(np.rint(high * scale).astype(int))]
    lower = [f"{x} {y}" for x, y in enumerate(np.rint(low * scale).astype(int))]
    return Markup(
        '<svg class="thumbnail" viewBox="0 -{half} {width} {height}" preserveAspectRatio="none" '
        'role="img" aria-label="waveform"><path fill="{colour}" stroke="{colour}" d="M{path}Z"/>'
        "</svg>"
    ).format(
        half=_HALF_HEIGHT,
        width=_NUM_COLUMNS - 1,
        height=2 * _HALF_HEIGHT,
        colour=colour,
        path=" ".join([*upper, *reversed(lower)]),
    )


def _envelope(
    audio: NDArray[np.float32], *, num_columns: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest sample of each of `num_columns` stretches of nearly equal length."""
    starts = np.linspace(0, len(audio), num_columns, endpoint=False).astype(np.intp)
    return np.minimum.reduceat(audio, starts), np.maximum.reduceat(audio, starts)


def _draw(draw: Callable[[Axes], None], label: str) -> Markup:
    """The figure that `draw` fills, as an SVG element."""
    text = io.StringIO()
    with SETTINGS_LOCK, mpl.rc_context(_STYLE):
        figure = Figure(figsize=_INCHES, layout="constrained")
        draw(figure.add_subplot())
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(
        "<svg ", f'<svg class="figure" role="img" aria-label="{label}" ', 1
    )
    return Markup(_with_own_ids(svg))  # noqa: S704 - matplotlib's own drawing of numbers


def _with_own_ids(svg: str) -> str:
    """Makes ids unique in a page: matplotlib gives every figure the same ones."""
    prefix = f"f{zlib.crc32(svg.encode()):08x}-"
    used = set(re.findall(r"#([\w.-]+)", svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", svg)
    return re.sub(r'(href="|url\()#', rf"\1#{prefix}", svg)
