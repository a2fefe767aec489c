import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from pipelines.report.drawing.learning_curves import Course, draw_courses, draw_key, top_of
from pipelines.report.drawing.palette import run_style


def course(number: int, *values: float, label: str = "a run") -> Course:
    return Course(number, label, range(1, len(values) + 1), values)


def numbers(svg: str) -> dict[str, float]:
    """The height of each run's number at the end of its line."""
    texts = re.findall(r'<text class="colour-\d" x="[\d.]+" y="([\d.]+)">(\d+)<', svg)
    return {number: float(y) for y, number in texts}


@pytest.mark.parametrize(
    ("highest", "top"), [(0.0, 0.2), (0.31, 0.4), (1.0, 1.0), (2.2, 2.5), (9.8, 10), (43.0, 50)]
)
def test_top_of_leaves_room_for_the_highest(highest: float, top: float) -> None:
    assert top_of([course(1, 0.0, highest)]) == pytest.approx(top)


def test_draw_courses_has_a_line_and_a_number_a_run() -> None:
    svg = draw_courses([course(1, 0.1, 0.5, 0.9), course(2, 0.1, 0.2)], "accuracy", top=1)
    ET.fromstring(svg)  # noqa: S314 - our own drawing
    first, second = re.findall(r'points="([^"]+)"', svg)
    assert (len(first.split()), len(second.split())) == (3, 2)
    assert set(numbers(svg)) == {"1", "2"}
    assert numbers(svg)["1"] < numbers(svg)["2"]


@pytest.mark.parametrize("ends", [[0.5] * 9, [0.0] * 3, [1.0] * 3, [i / 23 for i in range(24)]])
def test_draw_courses_keeps_numbers_apart_and_inside(ends: list[float]) -> None:
    svg = draw_courses([course(i + 1, end) for i, end in enumerate(ends)], "accuracy", top=1)
    heights = sorted(numbers(svg).values())
    assert len(heights) == len(ends)
    assert 0 < heights[0] <= heights[-1] < 280
    assert min(b - a for a, b in pairwise(heights)) > 9


def test_draw_courses_leaves_out_what_is_no_number() -> None:
    blown_up = course(1, 0.5, math.nan, math.inf)
    assert "nan" not in draw_courses([blown_up], "loss", top=top_of([blown_up]))
    assert numbers(draw_courses([course(1, math.nan)], "loss", top=1)) == {}


def test_draw_courses_escapes_labels() -> None:
    svg = draw_courses([course(1, 0.5, label="<script>")], "<b>", top=1)
    assert "<script" not in svg
    assert "<b>" not in svg
    assert "<title>&lt;script&gt;</title>" in svg


def test_run_style_tells_24_runs_apart() -> None:
    styles = [run_style(number) for number in range(1, 25)]
    assert len(set(styles)) == 24
    assert all(a != b and c != d for (a, c), (b, d) in pairwise(styles[:12]))
    assert "colour-0 dashes-0" in draw_key(1)
