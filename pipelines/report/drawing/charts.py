"""The charts of a run's report; see `figure` for how they are drawn.

Functions `plot_*` fill axes, those named `draw_*` return the whole chart.
"""

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray
from PIL import Image

from pipelines.analysis.stored import StressSheet
from pipelines.evaluate.scores import Slice
from pipelines.notes import stored_rate_hz
from pipelines.report.drawing.figure import (
    AGAINST,
    INK,
    MARK,
    QUIET,
    SETTINGS_LOCK,
    figure,
    label_ends,
    label_rows,
)
from pipelines.report.drawing.palette import shade
from pipelines.report.formats import plural

Audio = NDArray[np.float32]

_ROW_INCHES: Final = 0.2
_THUMBNAIL_COLUMNS: Final = 160
_THUMBNAIL_HALF_HEIGHT: Final = 100
_NUM_COLOURS: Final = 32


def draw_training_curves(
    history: Mapping[str, Sequence[float]],
    quantity: str,
    *,
    limits: tuple[float, float] | None = None,
) -> Markup:
    """Draw one quantity of training and validation by epoch.

    Args:
      history: "epoch", and of the same length `quantity` and "val_" + `quantity`.
      quantity: "loss" or "accuracy".
      limits: of its axis, the same for all models; of the data by default.
    """

    def plot(axes: Axes) -> None:
        epochs = history["epoch"]
        # Markers and dashes distinguish the two where colour does not.
        style: dict[str, Any] = {"ms": 4, "clip_on": False}
        axes.plot(epochs, history[quantity], "o-", color=MARK, label="training", **style)
        validation = history[f"val_{quantity}"]
        axes.plot(epochs, validation, "s--", color=AGAINST, label="validation", **style)
        label_epochs(axes)
        axes.set_ylabel(quantity)
        # One scale for all models.
        axes.set_ylim(*((0, 1) if quantity == "accuracy" else limits or axes.get_ylim()))
        axes.legend(frameon=False, labelcolor=INK)

    return figure(plot, f"{quantity} of training and validation by epoch")


def label_epochs(axes: Axes) -> None:
    """Make the horizontal axis one of whole epochs."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch")


def draw_waveform(audio: Audio) -> Markup:
    """Draw a whole note: the lowest and the highest sample of each short stretch.

    Args:
      audio: float32 [num_samples], four seconds.
    """

    def plot(axes: Axes) -> None:
        low, high = _envelope(audio, num_columns=400)
        seconds = np.linspace(0, len(audio) / stored_rate_hz(len(audio)), len(low))
        axes.fill_between(seconds, low, high, color=MARK, linewidth=0.5)
        _label_waveform(axes)

    return figure(plot, "waveform of a whole note")


def draw_close_up(audio: Audio, *, seconds: float) -> Markup:
    """Draw each sample around the loudest one; `audio` is as in `draw_waveform`."""
    rate_hz = stored_rate_hz(len(audio))
    num_samples = min(round(seconds * rate_hz), len(audio))
    start = int(np.abs(audio).argmax()) - num_samples // 2
    start = min(max(start, 0), len(audio) - num_samples)

    def plot(axes: Axes) -> None:
        at = np.arange(start, start + num_samples)
        axes.plot(at / rate_hz, audio[at], ".-", color=MARK, ms=3, linewidth=0.8)
        _label_waveform(axes)

    return figure(plot, "the waveform around the loudest sample")


def _label_waveform(axes: Axes) -> None:
    axes.margins(x=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("amplitude")


def draw_thumbnail(audio: Audio, colour: str) -> Markup:
    """Draw a small waveform without axes, scaled to its own peak.

    It is a single path: a report has hundreds of them, and matplotlib would add its weight to each.

    Args:
      audio: float32 [num_samples].
    """
    low, high = _envelope(audio, num_columns=_THUMBNAIL_COLUMNS)
    # Silence is a flat line; y grows downwards in SVG.
    scale = -0.95 * _THUMBNAIL_HALF_HEIGHT / (float(np.abs(audio).max()) or 1.0)
    upper = [f"{x} {y}" for x, y in enumerate(np.rint(high * scale).astype(int))]
    lower = [f"{x} {y}" for x, y in enumerate(np.rint(low * scale).astype(int))]
    return Markup(
        '<svg class="thumbnail" viewBox="0 -{half} {width} {height}" preserveAspectRatio="none" '
        'role="img" aria-label="waveform"><path fill="{colour}" stroke="{colour}" d="M{path}Z"/>'
        "</svg>"
    ).format(
        half=_THUMBNAIL_HALF_HEIGHT,
        width=_THUMBNAIL_COLUMNS - 1,
        height=2 * _THUMBNAIL_HALF_HEIGHT,
        colour=colour,
        path=" ".join([*upper, *reversed(lower)]),
    )


def _envelope(audio: Audio, *, num_columns: int) -> tuple[Audio, Audio]:
    """Return the lowest and highest samples of stretches of nearly equal length, [num_columns]."""
    starts = np.linspace(0, len(audio), num_columns, endpoint=False).astype(np.intp)
    return np.minimum.reduceat(audio, starts), np.maximum.reduceat(audio, starts)


def draw_balance(families: Mapping[str, int], *, limit: float, title: str) -> Markup:
    """Draw the notes of each family as a share of all, with their number beside.

    Args:
      limit: the share at the right end, the same for the data sets of a page.
      title: names the data set.
    """
    total = max(sum(families.values()), 1)

    def plot(axes: Axes) -> None:
        axes.barh(range(len(families)), [num / total for num in families.values()], color=MARK)
        beside = [f"{num:,}, {100 * num / total:.1f} %" for num in families.values()]
        label_rows(axes, list(families), beside)
        axes.set_xlim(0, limit)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)

    size = (4.3, _ROW_INCHES * len(families) + 0.1)
    return figure(plot, f"kept notes by family, {title}", size=size)


def largest_share(datasets: Iterable[Mapping[str, int]]) -> float:
    """Return the largest share that any family has of the notes of its data set."""
    shares = (max(nums.values(), default=0) / max(sum(nums.values()), 1) for nums in datasets)
    return max(shares, default=0) or 1.0


def draw_slices(slices: Sequence[Slice], title: str, *, width: float = 3.7) -> Markup:
    """Draw the accuracy of each slice with its interval, and its number of notes beside."""
    size = (width, _ROW_INCHES * len(slices) + 0.4)
    return figure(partial(plot_slices, slices=slices), f"accuracy by {title}", size=size)


def plot_slices(axes: Axes, slices: Sequence[Slice]) -> None:
    """Plot a row for each slice; one of too few notes says so."""
    for row, part in enumerate(slices):
        if part.accuracy is None:
            axes.text(0.02, row, "too few", color=QUIET, va="center_baseline")
            continue
        if ends := (part.intervals or {}).get("accuracy"):
            axes.plot(ends, (row, row), color=MARK)
        axes.plot(part.accuracy, row, "o", color=MARK, ms=5, clip_on=False)
    label_rows(
        axes, [part.name for part in slices], [plural(part.num_notes, "note") for part in slices]
    )
    axes.set_xlim(0, 1)


def draw_features(scores: Sequence[Mapping[str, Any]]) -> Markup:
    """Draw the accuracy of each feature as slices are drawn.

    Args:
      scores: as features.json has them.
    """
    slices = [
        Slice(
            name=score["feature"],
            num_notes=score["num_notes"],
            num_instruments=score["num_instruments"],
            num_correct=round(score["accuracy"] * score["num_notes"]),
            too_few=False,
            accuracy=score["accuracy"],
            intervals={"accuracy": tuple(score["interval"])} if score["interval"] else {},
        )
        for score in scores
    ]
    return draw_slices(slices, "feature", width=4.8)


def draw_reliability(bins: Sequence[Slice]) -> Markup:
    """Draw accuracy against confidence, which are equal on the diagonal."""
    plot = partial(plot_reliability, bins=bins)
    return figure(plot, "accuracy by confidence", size=(3.7, 3.4))


def plot_reliability(axes: Axes, bins: Sequence[Slice]) -> None:
    """Plot a dot for each bin of equally many notes: its accuracy over its mean confidence."""
    axes.plot((0, 1), (0, 1), color=QUIET, linewidth=0.8)
    for part in bins:
        confidence = part.confidence or 0.0
        if ends := (part.intervals or {}).get("accuracy"):
            axes.plot((confidence, confidence), ends, color=MARK)
        accuracy = part.num_correct / part.num_notes
        axes.plot(confidence, accuracy, "o", color=MARK, ms=5, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", aspect="equal")


def draw_cost(cost: Mapping[str, Any]) -> Markup:
    """Draw training time against the samples of a note; dashed where time is in proportion.

    Args:
      cost: the content of cost.json.
    """
    label = "training time by samples per note"
    return figure(partial(plot_cost, cost=cost), label, size=(4.3, 2.8))


def plot_cost(axes: Axes, cost: Mapping[str, Any]) -> None:
    """Plot milliseconds per note, with each doubling as far from the next on both axes."""
    lengths, times = cost["lengths"], note_milliseconds(cost)
    logs = [math.log2(time) for values in times.values() for time in values]
    bottom = math.floor(min(logs))
    powers = range(bottom, max(math.ceil(max(logs)), bottom + 1) + 1)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set(xlabel="samples per note", ylabel="milliseconds per note")
    axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
    axes.set_yticks([2.0**power for power in powers], [f"{2.0**power:g}" for power in powers])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(2.0 ** powers[0], 2.0 ** powers[-1])
    for values in times.values():
        axes.plot(lengths, [values[-1] * n / lengths[-1] for n in lengths], ":", color=QUIET)
        axes.plot(lengths, values, "o-", color=MARK, ms=5, clip_on=False)
    ends = [(lengths[-1], values[-1]) for values in times.values()]
    label_ends(axes, ends, [(name, INK) for name in times])


def note_milliseconds(cost: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the milliseconds of a note by model, one number for each length.

    It is the median of the steps timed, divided by the notes of a batch.
    """
    return {
        name: [
            1_000 * float(np.median(steps)) / cost["batch_size"]
            for steps in zip(*times["seconds"], strict=True)
        ]
        for name, times in cost["models"].items()
    }


def draw_stress(sheets: Mapping[str, StressSheet], kind: str, label: str) -> Markup:
    """Draw the accuracy of each model by one kind of change, with its interval as a band.

    Args:
      sheets: by model.
      kind: of the points, which have a value each.
      label: of the horizontal axis.
    """
    plot = partial(plot_stress, sheets=sheets, kind=kind, label=label)
    return figure(plot, f"accuracy by {label}")


def plot_stress(axes: Axes, sheets: Mapping[str, StressSheet], kind: str, label: str) -> None:
    """Plot a line for each model."""
    axes.set(xlabel=label, ylabel="accuracy", ylim=(0, 1))
    ends = []
    for sheet in sheets.values():
        points = [point for point in sheet.points if point.kind == kind]
        values = [point.value or 0.0 for point in points]
        intervals = [point.interval or (point.accuracy, point.accuracy) for point in points]
        low, high = zip(*intervals, strict=True)
        axes.fill_between(values, low, high, color=MARK, alpha=0.12, linewidth=0)
        accuracies = [point.accuracy for point in points]
        axes.plot(values, accuracies, "o-", color=MARK, ms=4, clip_on=False)
        last = max(range(len(values)), key=values.__getitem__)
        ends.append((values[last], accuracies[last]))
    # Labels are placed by the limits, which are else worked out only when the chart is drawn.
    axes.set_xlim(*axes.get_xlim())
    label_ends(axes, ends, [(name, INK) for name in sheets])


def draw_matrix(families: Sequence[str], matrix: Sequence[Sequence[int]], *, title: str) -> bytes:
    """Return a confusion matrix as a PNG file of some 10 KB, for pages that show only pictures.

    Args:
      families: the class names in label order.
      matrix: counts [num_classes, num_classes]; rows are the true classes.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colours = LinearSegmentedColormap.from_list("shares", [shade(0)[0], shade(1)[0]])
    with SETTINGS_LOCK, mpl.rc_context({"font.size": 8.0, "text.parse_math": False}):
        drawing = Figure(figsize=(4.8, 4.3), dpi=120, layout="constrained")
        axes = drawing.add_subplot()
        axes.imshow(shares, cmap=colours, vmin=0, vmax=1)
        axes.set_xticks(range(len(families)), families, rotation=45, ha="right")
        axes.set_yticks(range(len(families)), families)
        axes.tick_params(length=0)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(title, fontsize=9)
        for (row, column), count in np.ndenumerate(counts):
            # A grid of zeros would hide the few confusions.
            if count:
                colour = shade(float(shares[row, column]))[1]
                axes.text(column, row, f"{count}", ha="center", va="center", color=colour, size=7)
        drawn, small = io.BytesIO(), io.BytesIO()
        drawing.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(_NUM_COLOURS).save(small, "png", optimize=True)
    return small.getvalue()
