import json

import pytest

from pipelines.analysis.stored import COST_FORMAT
from pipelines.layout import COST_FILE
from pipelines.report.build import render_html as render
from pipelines.report.report_data import load_report_data
from tests.pipelines.report.page import Page
from tests.pipelines.report.run_folder import no_audio, write_run

COST = {
    "format_version": COST_FORMAT,
    "of": "a1b2c3d4",
    "device": "<i>a device</i>",
    "batch_size": 8,
    "lengths": [1_000, 8_000],
    "models": {"<b>tiny</b>": {"exponent": 1.0, "interval": [0.95, 1.05], "seconds": [[0.1, 0.8]]}},
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    uri = write_run(folder)
    (folder / COST_FILE).write_text(json.dumps(COST))
    return render(load_report_data(uri), no_audio)


@pytest.mark.parametrize(
    "part",
    [
        "Claims of the reference",
        "1 contradicted",
        "about this run alone",
        "confirmed Training time is in proportion to the samples that a note keeps.",
        "contradicted One invalid record stopped training",
        "What a longer note costs",
        "8,000 samples 100.00 ms",
        "exponent 1.00",
        "Waveforms by class: true class above .9",
        "preliminary; this run has no optimised",
    ],
)
def test_render_holds(part: str, source: str) -> None:
    assert part in Page(source).text


def test_render_links_only_to_places_that_it_has(source: str) -> None:
    page = Page(source)
    ids = {value for name, value in page.attributes if name == "id"}
    links = {str(value)[1:] for name, value in page.attributes if name == "href" and value}
    inside = {link for link in links if not link.startswith("ttps:")}
    assert {"claims", "cost", "evaluation", "provenance"} <= inside <= ids


def test_render_shows_names_in_times_as_text(source: str) -> None:
    assert "<b>tiny" not in source
    assert "<i>a device" not in source
    assert "<b>tiny</b>" in Page(source).text
