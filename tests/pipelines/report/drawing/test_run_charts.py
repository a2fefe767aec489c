import math
import re
from itertools import pairwise

import pytest

from pipelines.evaluate.comparison import Difference
from pipelines.report.drawing.palette import run_style
from pipelines.report.drawing.run_charts import (
    LearningCurve,
    draw_key,
    draw_learning_curves,
    draw_sparkline,
    plot_differences,
)
from tests.pipelines.report.drawing.test_charts import axes_of, lines, texts


def curve(number: int, *values: float, label: str = "a run") -> LearningCurve:
    return LearningCurve(number, label, range(1, len(values) + 1), values)


def test_draw_learning_curves_has_a_line_and_a_number_for_each_run() -> None:
    curves = [curve(1, 0.1, 0.5, 0.9), curve(2, 0.1, 0.2, label="<script>")]
    svg = draw_learning_curves(curves, "accuracy", top=1)
    assert "<title>a run</title>" in svg
    assert "<title>&lt;script&gt;</title>" in svg
    assert {"var(--run-0)", "var(--run-1)"} <= set(re.findall(r"var\(--run-\d\)", svg))
    # The numbers at the ends, beside those of the axes.
    assert texts(svg).count("2") == 2
    assert texts(draw_learning_curves(curves, "accuracy", top=1, numbered=False)).count("2") == 1


def test_draw_learning_curves_leaves_out_what_is_not_a_number() -> None:
    blown_up = curve(1, 0.5, math.nan, math.inf)
    assert blown_up.points == [(1, 0.5)]
    assert "nan" not in draw_learning_curves([blown_up], "loss", top=None)
    assert "path" in draw_learning_curves([curve(1, math.nan)], "loss", top=None)


def test_plot_differences_has_a_row_for_each_around_nought() -> None:
    rows = [
        ("worse", Difference(0.5, 0.4, -0.1, (-0.2, -0.05))),
        ("same", Difference(1, 1, 0, None)),
    ]
    axes = axes_of(plot_differences, rows)
    (zero, *_), interval, dot, _, same = lines(axes)
    assert zero[0] == same[0][0] == 0
    assert interval == [(-20, 0), (-5, 0)]
    assert dot == [(-10, 0)]
    low, high = axes.get_xlim()
    assert low == -high < -20


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], [0.1, 0.9, 0.3]])
def test_draw_sparkline_stays_in_its_box(values: list[float]) -> None:
    svg = str(draw_sparkline(values, "validation loss"))
    line = re.search(r'd="M([^"]+)"', svg)
    assert line
    points = [tuple(map(float, point.split())) for point in line[1].split("L")]
    assert len(points) == len(values)
    assert all(0 <= x <= 100 and 0 <= y <= 24 for x, y in points)


def test_run_style_distinguishes_24_runs() -> None:
    styles = [run_style(number) for number in range(1, 25)]
    assert len(set(styles)) == 24
    assert all(a != b and c != d for (a, c), (b, d) in pairwise(styles[:12]))
    assert "var(--run-0)" in draw_key(1)
    assert 'stroke-dasharray="7 3"' in draw_key(2)
