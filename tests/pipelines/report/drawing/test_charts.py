import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from pipelines.evaluate.scores import Slice
from pipelines.notes import NUM_SAMPLES
from pipelines.report.drawing.charts import (
    draw_balance,
    draw_close_up,
    draw_matrix,
    draw_slices,
    draw_thumbnail,
    draw_training_curves,
    largest_share,
    plot_cost,
    plot_reliability,
    plot_slices,
)
from pipelines.report.page_values import cost_rows
from tests.pipelines.report.run_folder import audio_of

HISTORY: dict[str, list[float]] = {
    "epoch": [1, 2, 3],
    "loss": [2.0, 1.5, 1.2],
    "accuracy": [0.2, 0.4, 0.5],
    "val_loss": [2.1, 1.7, 1.6],
    "val_accuracy": [0.2, 0.3, 0.4],
    "seconds": [1.0, 1.0, 1.0],
}
SLICES = [
    Slice("loud", 1200, 20, 600, too_few=False, accuracy=0.5, intervals={"accuracy": (0.4, 0.7)}),
    Slice("odd", 40, 9, 40, too_few=False, accuracy=1.0, intervals={}),
    Slice("few", 1, 1, 1, too_few=True),
]
LENGTHS = [1_000, 2_000, 4_000, 8_000]


def axes_of(plot: Callable[..., None], *values: Any) -> Axes:
    axes = Figure().add_subplot()
    plot(axes, *values)
    return axes


def lines(axes: Axes) -> list[list[tuple[float, float]]]:
    """The points of each line, in the order of drawing."""
    return [[(x, y) for x, y in np.asarray(line.get_xydata())] for line in axes.get_lines()]


def texts(svg: str) -> list[str]:
    # S314: the drawings of this project are no foreign XML.
    return ["".join(e.itertext()) for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]  # noqa: S314


def cost(milliseconds: float) -> dict[str, Any]:
    """Times in proportion to samples; those of the longest notes are given."""
    seconds = [[10 * milliseconds / 1_000 * n / 8_000 for n in LENGTHS]] * 3
    model = {"exponent": 1.0, "interval": [0.98, 1.02], "seconds": seconds}
    return {"lengths": LENGTHS, "batch_size": 10, "device": "cpu", "models": {"small": model}}


def test_plot_reliability_has_confidence_below_and_accuracy_at_the_side() -> None:
    ends = {"accuracy": (0.4, 0.6)}
    bold = Slice("", 100, 9, 50, too_few=False, accuracy=0.5, intervals=ends, confidence=0.9)
    axes = axes_of(plot_reliability, [bold])
    diagonal, interval, dot = lines(axes)
    assert diagonal == [(0, 0), (1, 1)]
    assert interval == [(0.9, 0.4), (0.9, 0.6)]
    assert dot == [(0.9, 0.5)]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("confidence", "accuracy")


def test_plot_slices_has_a_row_for_each_with_its_interval_and_number() -> None:
    axes = axes_of(plot_slices, SLICES)
    assert lines(axes) == [[(0.4, 0), (0.7, 0)], [(0.5, 0)], [(1.0, 1)]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["loud", "odd", "few"]
    words = [text.get_text() for text in axes.texts]
    assert words == ["too few", "1,200 notes", "40 notes", "1 note"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_draw_slices_shows_names_as_they_are() -> None:
    odd = Slice("<b>$x$", 40, 9, 40, too_few=False, accuracy=1.0)
    assert "<b>$x$" in texts(draw_slices([odd], "source"))


def test_draw_balance_says_number_and_share() -> None:
    found = texts(draw_balance({"bass": 30, "organ": 10}, limit=0.75, title="train"))
    assert {"30, 75.0 %", "10, 25.0 %", "bass"} <= set(found)


def test_largest_share_is_of_any_data_set() -> None:
    assert largest_share([{"bass": 1, "organ": 1}, {"bass": 3, "organ": 1}]) == 0.75
    assert largest_share([{}]) == 1


def test_plot_cost_puts_times_in_proportion_on_the_dashed_line() -> None:
    axes = axes_of(plot_cost, cost(8.0))
    dashed, times = lines(axes)
    np.testing.assert_allclose(dashed, times)
    assert times[0] == pytest.approx((1_000, 1.0))
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_cost_rows_gives_times_per_note_and_the_exponent() -> None:
    rows = dict(cost_rows(cost(8.0)))
    assert list(rows["1,000 samples"]) == ["1.00 ms"]
    assert list(rows["8,000 against 1,000"]) == ["\N{MULTIPLICATION SIGN} 8.00"]
    assert list(rows["95 % interval"]) == ["0.98 to 1.02"]


def test_draw_training_curves_labels_both_curves_and_whole_epochs() -> None:
    found = texts(draw_training_curves(HISTORY, "accuracy"))
    assert {"epoch", "accuracy", "training", "validation", "1", "2", "3"} <= set(found)
    assert "1.5" not in found
    once = {name: values[:1] for name, values in HISTORY.items()}
    assert texts(draw_training_curves(once, "accuracy")).count("1") == 1


@pytest.mark.parametrize("loudest", [0, NUM_SAMPLES - 1])
def test_draw_close_up_holds_the_loudest_sample(loudest: int) -> None:
    audio = np.zeros(NUM_SAMPLES, np.float32)
    audio[loudest] = -0.5
    assert "\N{MINUS SIGN}0.5" in texts(draw_close_up(audio, seconds=0.05))


def path_points(svg: str) -> NDArray[np.int64]:
    path = re.search(r'd="M([^Z]*)Z"', svg)
    assert path
    return np.array(path[1].split(), int).reshape(-1, 2)


def test_draw_thumbnail_keeps_the_extremes_of_each_stretch() -> None:
    audio = np.zeros(NUM_SAMPLES, np.float32)
    audio[123], audio[7_000] = 0.5, -0.25
    y = path_points(draw_thumbnail(audio, "#000000"))[:, 1]
    # Upwards is negative, the peak nearly fills the half height of 100, and scale is one.
    assert (y.min(), y.max()) == (-95, 48)
    assert not path_points(draw_thumbnail(np.zeros(NUM_SAMPLES, np.float32), "#000"))[:, 1].any()


def test_draw_thumbnail_goes_there_and_back() -> None:
    x = path_points(draw_thumbnail(audio_of([1])[0], "#000000"))[:, 0]
    half = len(x) // 2
    assert (np.diff(x[:half]) == 1).all()
    assert (x[half:] == x[:half][::-1]).all()


def pixels(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_draw_matrix_darkens_a_cell_by_its_share_of_the_row() -> None:
    diagonal = draw_matrix(["a", "b"], [[9, 0], [0, 1]], title="")
    assert diagonal == draw_matrix(["a", "b"], [[9, 0], [0, 1]], title="")
    assert len(diagonal) < 20_000
    mixed = pixels(draw_matrix(["a", "b"], [[5, 5], [0, 0]], title=""))
    dark = (pixels(diagonal).sum(axis=2) < 300).mean(), (mixed.sum(axis=2) < 300).mean()
    assert dark[0] > 5 * dark[1]
