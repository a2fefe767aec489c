import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import DatasetError
from pipelines.evaluate.comparison import (
    Comparison,
    Difference,
    McNemar,
    Part,
    compare_models,
    compare_with_first,
)
from pipelines.experiment import Experiment
from pipelines.registry.runs import load_run, store_run
from pipelines.report.runs_comparison import (
    Contrast,
    describe,
    family_parts,
    is_sure,
    load_views,
    points,
    relative_link,
    write_comparison,
)
from tests.pipelines.report.page import Page
from tests.pipelines.report.run_folder import write_run


def stored(folder: Path, run_id: str, *, seed: int = 0, strength: float = 4.0) -> str:
    """A run of its own id and seed."""
    uri = write_run(folder / "runs" / run_id, models={"preliminary": 1.0, "tiny": strength})
    record = replace(load_run(uri), run_id=run_id, experiment=Experiment(epochs=4, seed=seed))
    store_run(record, uri)
    return uri


def contrast(interval: tuple[float, float] | None) -> Contrast:
    figures = {"accuracy": Difference(0.5, 0.6, 0.1, interval)}
    part = Part(60, 9, too_few=False, figures=figures)
    return Contrast(2, "b", Comparison(part, {}, McNemar(1, 2, 0.5)))


def page_of(folder: Path, *uris: str) -> Page:
    models = compare_models(uris[0]) if len(uris) == 1 else {}
    pairs = compare_with_first(uris)
    return Page(Path(write_comparison(str(folder / "page.html"), uris, pairs, models)).read_text())


def test_load_views_say_in_what_runs_differ(tmp_path: Path) -> None:
    uris = [stored(tmp_path, "aa", seed=1), stored(tmp_path, "bb", seed=2)]
    Path(uris[0], "report.html").touch()
    first, second = load_views(uris, str(tmp_path / "page.html"))
    assert (first.label, second.label) == ("1: aa, seed 1", "2: bb, seed 2")
    assert (first.varied, second.varied) == ("", "")
    assert (first.link, second.link) == ("runs/aa/report.html", "")
    assert first.tested == "57 of c0ffee"


def test_load_views_refuse_a_damaged_history(tmp_path: Path) -> None:
    uri = stored(tmp_path, "aa")
    Path(uri, "tiny", "history.json").write_text("[")
    with pytest.raises(DatasetError, match=r"tiny/history\.json is not the history of a"):
        load_views([uri], "page.html")


@pytest.mark.parametrize(
    ("intervals", "sentence"),
    [
        ([(0.1, 0.2)], "It is surely better."),
        ([(-0.2, -0.1)], "It is surely worse."),
        ([None], "It is not surely better or worse."),
        ([(0.1, 0.2), (0.0, 0.1), None], "Of 3, surely better: 1; surely worse: 0; neither: 2."),
    ],
)
def test_describe_counts_what_is_sure(
    intervals: list[tuple[float, float] | None], sentence: str
) -> None:
    assert describe([contrast(interval) for interval in intervals]) == sentence


def test_family_parts_are_of_every_contrast_that_has_the_family() -> None:
    part = Part(60, 9, too_few=True, figures={})
    contrasts = [contrast(None), contrast(None)]
    contrasts[1] = replace(
        contrasts[1], comparison=replace(contrasts[1].comparison, families={"reed": part})
    )
    assert family_parts(contrasts) == {"reed": [part]}


def test_write_comparison_shows_each_later_run_minus_the_first(tmp_path: Path) -> None:
    uris = [stored(tmp_path, "aa"), stored(tmp_path, "bb", seed=1, strength=1.0)]
    uris.append(stored(tmp_path, "cc", seed=2))
    page = page_of(tmp_path, *uris)
    assert "3 runs compared" in page.text
    assert "Of 2, surely better: 0; surely worse: 1; neither: 1." in page.text
    labels = [value for name, value in page.attributes if name == "aria-label"]
    assert labels.count("validation loss by epoch, 3 runs") == 2
    found = compare_with_first(uris)[0].comparisons["tiny"].every.figures["accuracy"]
    assert found.interval is not None
    ends = " to ".join(map(points, found.interval))
    assert f"{points(found.difference)} {ends}" in page.text


def test_write_comparison_says_what_it_does_not_subtract(tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", num_notes=50)
    page = page_of(tmp_path, stored(tmp_path, "aa"), other, stored(tmp_path, "bb"))
    assert "Not subtracted, run 2 (a1b2c3d4): the two were not scored on the same" in page.text
    assert "3 bb" in page.text
    page = page_of(tmp_path, stored(tmp_path, "aa"), other)
    assert "There is nothing to subtract" in page.text


def test_write_comparison_of_one_run_is_of_its_models(tmp_path: Path) -> None:
    page = page_of(tmp_path, stored(tmp_path, "aa"))
    assert "The models of run aa compared" in page.text
    assert "minus preliminary" in page.text
    assert "It is surely better." in page.text


def test_write_comparison_is_the_same_each_time_and_loads_nothing(tmp_path: Path) -> None:
    uris = [stored(tmp_path, "aa"), stored(tmp_path, "bb", seed=1)]
    page_of(tmp_path, *uris)
    first = (tmp_path / "page.html").read_text()
    page = page_of(tmp_path, *uris)
    assert (tmp_path / "page.html").read_text() == first
    assert not {"script", "link", "iframe", "object", "img"} & set(page.tags)
    assert not re.search(r"https?://|@import|url\((?!#)", first)
    assert "default-src 'none'" in first


def test_write_comparison_escapes_what_records_hold(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    uris = [stored(tmp_path, "aa"), stored(tmp_path, "bb")]
    for uri in uris:
        record = replace(load_run(uri), created=hostile, families=(hostile, *"bcdefghij"))
        store_run(record, uri)
    assert "script" not in page_of(tmp_path, *uris).tags


def test_is_sure_where_the_interval_leaves_nought_out() -> None:
    assert is_sure(Difference(0.5, 0.6, 0.1, (0.05, 0.2)))
    assert not is_sure(Difference(0.5, 0.6, 0.1, (0.0, 0.2)))
    assert not is_sure(Difference(0.5, 0.6, 0.1, None))
    assert (points(0.0123), points(-0.0001)) == ("+1.2", "0.0")


@pytest.mark.parametrize(
    ("page", "target", "link"),
    [
        ("/data/page.html", "/data/runs/a/report.html", "runs/a/report.html"),
        ("/pages/x/page.html", "/data/report.html", "../../data/report.html"),
        ("s3://bucket/root/page.html", "s3://bucket/root/runs/a/r.html", "runs/a/r.html"),
        ("s3://bucket/pages/page.html", "s3://bucket/root/r.html", "../root/r.html"),
        ("s3://other/page.html", "s3://bucket/r.html", ""),
        ("/data/page.html", "s3://bucket/r.html", ""),
        ("s3://bucket/page.html", "/data/r.html", ""),
    ],
)
def test_relative_link_goes_with_the_folder(page: str, target: str, link: str) -> None:
    assert relative_link(page, target) == link
