import re

import pytest

from pipelines.evaluate.comparison import Difference
from pipelines.report.drawing.differences import draw_differences, reach_of


def difference(middle: float, interval: tuple[float, float] | None) -> Difference:
    return Difference(0.5, 0.5 + middle, middle, interval)


@pytest.mark.parametrize(
    ("interval", "reach"),
    [(None, 0.05), ((-0.049, 0.01), 0.05), ((-0.21, 0.01), 0.3), ((0.0, 0.3), 0.3)],
)
def test_reach_of_holds_every_end(interval: tuple[float, float] | None, reach: float) -> None:
    assert reach_of([difference(0.01, interval)]) == pytest.approx(reach)


def test_draw_differences_has_a_dot_a_row_and_a_whisker_an_interval() -> None:
    rows = [("worse", difference(-0.1, (-0.2, -0.05))), ("<b>", difference(0.0, None))]
    svg = draw_differences(rows, reach=0.2)
    worse, same = (float(x) for x in re.findall(r'class="dot" cx="([\d.]+)"', svg))
    ((left, right),) = re.findall(r'class="whisker" x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', svg)
    (zero,) = re.findall(r'class="grid zero" x1="([\d.]+)"', svg)
    assert float(left) < worse < float(right) < float(zero) == same
    assert "&lt;b&gt;" in svg
    assert "<b>" not in svg
