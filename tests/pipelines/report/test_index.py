import re
from pathlib import Path

import pytest

from pipelines.report.index import RunRow, build_index, render_index
from pipelines.report.sparkline import draw_sparkline
from tests.pipelines.report.run_folder import write_run


def test_build_index_links_each_report_and_names_what_is_not_complete(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a1b2c3d4")
    (tmp_path / "runs" / "a1b2c3d4" / "report.html").touch()
    (tmp_path / "runs" / "beef").mkdir()
    (tmp_path / "runs" / "beef" / "gate.parquet").touch()
    page = Path(build_index(str(tmp_path))).read_text()
    assert '<a href="runs/a1b2c3d4/report.html">a1b2c3d4</a>' in page
    assert page.count("<svg") == 4
    assert "beef</th>" in page
    assert "not complete: run the same training again" in page


def test_build_index_says_what_is_damaged(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a1b2c3d4")
    (tmp_path / "runs" / "a1b2c3d4" / "tiny" / "metrics.json").write_text("{")
    assert "metrics.json is damaged" in Path(build_index(str(tmp_path))).read_text()


def test_build_index_of_an_empty_root_says_what_to_do(tmp_path: Path) -> None:
    assert "There is no run yet" in Path(build_index(str(tmp_path))).read_text()


def test_render_index_leaves_hostile_names_inert() -> None:
    hostile = '"><script>alert(1)</script>'
    page = render_index([RunRow(hostile, hostile, hostile, (), hostile, hostile)])
    assert "<script" not in page
    assert not re.search(r"https?://", page)


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], [0.1, 0.9, 0.3]])
def test_draw_sparkline_stays_in_its_box(values: list[float]) -> None:
    points = re.findall(r"([\d.]+),([\d.]+)", str(draw_sparkline(values, "a course")))
    assert len(points) == len(values)
    assert all(0 <= float(x) <= 100 and 0 <= float(y) <= 24 for x, y in points)
