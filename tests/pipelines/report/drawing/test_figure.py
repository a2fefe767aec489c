import re
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes

from pipelines.report.drawing.figure import MARK, figure, label_rows, run_colour, spread


def line(axes: Axes) -> None:
    axes.plot((0, 1), (0, 1), color=MARK, gid="line")
    axes.plot((0, 1), (1, 0), color=run_colour(3))


def test_figure_follows_the_colours_of_the_page() -> None:
    svg = figure(line, "a line")
    for colour in ("currentColor", "var(--quiet)", "var(--rule)", "var(--mark)", "var(--run-3)"):
        assert colour in svg or colour == "currentColor"
    # No other colour is drawn: it would not be seen on a dark page, or on a light one.
    assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg)) <= {
        *("none", "currentColor", "var(--quiet)", "var(--rule)", "var(--mark)", "var(--run-3)"),
    }


def test_figure_is_named_and_escapes_what_it_shows() -> None:
    hostile = '"><script>$x$'

    def draw(axes: Axes) -> None:
        line(axes)
        label_rows(axes, [hostile, "\u202e"], [hostile])

    svg = figure(draw, hostile, titles={"line": hostile})
    root = ET.fromstring(svg)  # noqa: S314 - our own drawing
    assert (root.get("role"), root.get("aria-label")) == ("img", hostile)
    assert hostile in [e.text for e in root.iter() if e.tag.endswith("title")]
    texts = [e.text for e in root.iter() if e.tag.endswith("text")]
    assert texts.count(hostile) == 2
    assert "\u202e" not in svg
    assert "<style" not in svg


def test_figure_is_the_same_in_threads_and_leaves_settings_alone() -> None:
    before = dict(mpl.rcParams)
    with ThreadPoolExecutor(4) as pool:
        drawn = set(pool.map(lambda _: figure(line, "a line"), range(8)))
    assert len(drawn) == 1
    assert dict(mpl.rcParams) == before


def test_figures_share_no_id_on_a_page() -> None:
    page = figure(line, "a line") + figure(lambda axes: axes.plot(1, 1, "o"), "a dot")
    ids = re.findall(r' id="([^"]+)"', page)
    assert ids
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', page)) == set(ids)


@pytest.mark.parametrize(
    "heights", [[0.5] * 9, [0.0] * 3, [1.0] * 3, [i / 23 for i in range(24)], [0.9, 0.1]]
)
def test_spread_keeps_labels_apart_in_their_order_and_inside(heights: list[float]) -> None:
    found = spread(np.array(heights))
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-9
    assert min(b - a for a, b in pairwise(np.sort(found))) > 0.04
    assert (np.argsort(found, kind="stable") == np.argsort(heights, kind="stable")).all()


def test_spread_leaves_labels_that_are_apart_where_they_are() -> None:
    np.testing.assert_allclose(spread(np.array([0.8, 0.2])), [0.8, 0.2])
