from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pipelines.report.drawing.cost_chart import cost_rows, draw_cost
from tests.pipelines.report.drawing.test_charts import elements

LENGTHS = [1_000, 2_000, 4_000, 8_000]


def cost(**milliseconds: float) -> dict[str, Any]:
    """Times in proportion to samples; by model that of the longest notes."""
    models = {
        name: {
            "exponent": 1.0,
            "interval": [0.98, 1.02],
            "seconds": [[10 * time / 1_000 * n / 8_000 for n in LENGTHS]] * 3,
        }
        for name, time in milliseconds.items()
    }
    return {"lengths": LENGTHS, "batch_size": 10, "device": "cpu", "models": models}


def test_draw_cost_lays_times_in_proportion_on_the_dashed_line() -> None:
    svg = draw_cost(cost(small=8.0))
    (dashed,), dots = elements(svg, "proportion"), elements(svg, "dot")
    assert len(dots) == len(LENGTHS)
    ends = [[float(dashed.get(name, "")) for name in of] for of in (("x1", "y1"), ("x2", "y2"))]
    places = [[float(dot.get(name, "")) for name in ("cx", "cy")] for dot in dots]
    assert places[0] == pytest.approx(ends[0], abs=0.1)
    assert places[-1] == pytest.approx(ends[1], abs=0.1)
    # Each doubling of samples is as far from the next, and so is each doubling of time.
    steps = [(after[0] - before[0], before[1] - after[1]) for before, after in pairwise(places)]
    assert np.ptp(steps, axis=0) == pytest.approx([0, 0], abs=0.2)


def test_draw_cost_keeps_names_of_equal_times_apart_and_escapes_them() -> None:
    svg = draw_cost(cost(**{"<b>": 8.0, "other": 8.0}))
    assert "<b>" not in svg
    first, second = (float(e.get("y", "")) for e in elements(svg, "name"))
    assert second - first >= 15


def test_cost_rows_gives_times_a_note_and_the_exponent() -> None:
    rows = dict(cost_rows(cost(small=8.0)))
    assert list(rows["1,000 samples"]) == ["1.00 ms"]
    assert list(rows["8,000 samples"]) == ["8.00 ms"]
    assert list(rows["8,000 against 1,000"]) == ["\N{MULTIPLICATION SIGN} 8.00"]
    assert list(rows["95 % interval"]) == ["0.98 to 1.02"]
