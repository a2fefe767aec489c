import re
import xml.etree.ElementTree as ET
from dataclasses import replace

from pipelines.evaluate.scores import Slice
from pipelines.report.drawing.charts import draw_reliability, draw_slices

ENDS = {"accuracy": (0.4, 0.7)}
SLICES = [
    Slice(
        "acoustic", 1200, 20, 600, too_few=False, accuracy=0.5, intervals={"accuracy": (0.4, 0.7)}
    ),
    Slice("<b>odd</b>", 40, 9, 40, too_few=False, accuracy=1.0, intervals={}),
    Slice("few", 3, 1, 1, too_few=True),
]


def elements(svg: str, kind: str) -> list[ET.Element]:
    # S314: the drawings of this project are no foreign XML.
    return [e for e in ET.fromstring(svg).iter() if e.get("class") == kind]  # noqa: S314


def test_draw_slices_has_a_dot_a_slice_and_a_whisker_an_interval() -> None:
    svg = draw_slices(SLICES, "source")
    dots, whiskers = elements(svg, "dot"), elements(svg, "whisker")
    assert (len(dots), len(whiskers)) == (2, 1)
    left, right = (float(whiskers[0].get(end, "")) for end in ("x1", "x2"))
    middle, certain = (float(dot.get("cx", "")) for dot in dots)
    assert left < middle < right < certain
    # 0.5 lies as far between 0.4 and 0.7 as its dot between the whisker's ends.
    assert abs((middle - left) / (right - left) - 1 / 3) < 0.01


def test_draw_slices_escapes_names_and_says_too_few() -> None:
    svg = draw_slices(SLICES, "source")
    assert "<b>" not in svg
    assert "&lt;b&gt;odd" in svg
    assert svg.count("too few") == 1
    assert "1,200 notes" in svg


def test_draw_reliability_puts_a_sound_bin_on_the_diagonal() -> None:
    sure = Slice("0.8-0.9", 100, 9, 80, too_few=False, accuracy=0.8, confidence=0.8)
    svg = draw_reliability([sure])
    (dot,) = elements(svg, "dot")
    x, y = (float(dot.get(axis, "")) for axis in ("cx", "cy"))
    size = float(re.findall(r'viewBox="0 0 (\d+)', svg)[0])
    assert abs(x - (size - y)) < 0.1


def test_draw_slices_makes_room_for_the_longest_name() -> None:
    (long,) = elements(draw_slices([replace(SLICES[1], name="spectrum and metadata")], "x"), "name")
    # It ends at x, and a letter takes six pixels or a little more.
    assert float(long.get("x", "")) > 6 * len("spectrum and metadata")
