"""A run's report: report.html and report.md, written again only where something has changed.

The page is one HTML file that needs no network, no script and no other file. Everything comes from
what the run stored; only samples and sounds are read from the test data set and its source, and the
report says so where those are gone.
"""

import hashlib
import json
import logging
from typing import Final

from pipelines import storage
from pipelines.decisions import decided
from pipelines.evaluate.metrics import NUM_BINS
from pipelines.evaluate.scores import MIN_INSTRUMENTS, MIN_NOTES
from pipelines.layout import METRICS
from pipelines.report import formats, page_values, published
from pipelines.report.drawing import charts, cost_chart, figures
from pipelines.report.drawing.balance import draw_balance
from pipelines.report.drawing.palette import family_colour, shade
from pipelines.report.dropped_notes import NUM_EXAMPLES
from pipelines.report.example_notes import AudioOf, OriginalsOf, no_originals, note_values, readers
from pipelines.report.markdown.report import REPORT_MARKDOWN, report_markdown
from pipelines.report.page_values import FIGURES, SHOWN_SLICES, changes, section_values
from pipelines.report.references import REFERENCES
from pipelines.report.report_data import ReportData, load_report_data
from pipelines.report.run_metrics import store_run_metrics
from pipelines.report.templates import template

REPORT_VERSION: Final = 6

CLOSE_UP_SEC: Final = 0.05


def build_report(run_uri: str) -> str:
    """Writes `report.html` beside what the run stored, and its story as report.md and metrics.json.

    Returns:
      The report's URI.

    Raises:
      ConfigError: something that the run should have stored is missing.
      DatasetError: what the run stored cannot be read or contradicts itself.
    """
    story = load_report_data(run_uri)
    storage.put(storage.join(run_uri, REPORT_MARKDOWN), report_markdown(story).encode())
    store_run_metrics(story.run)
    uri = storage.join(run_uri, "report.html")
    storage.put(uri, render(story, *readers(story.run)).encode())
    return uri


def render(story: ReportData, audio_of: AudioOf, originals_of: OriginalsOf = no_originals) -> str:
    """The page, the same for the same run.

    Args:
      story: of the run.
      audio_of: samples of rows of the test data set; called once.
      originals_of: the originals of these rows; called once, where `audio_of` has an answer.
    """
    notes = note_values(story.run, audio_of, originals_of)
    has_samples = not notes["waveforms"].missing
    return _TEMPLATE.render(**notes, **section_values(story, has_samples=has_samples))


_TEMPLATE: Final = template(
    "report.html.j2",
    {
        "balance_chart": draw_balance,
        "captions": page_values,
        "changes": changes,
        "close_up": figures.draw_close_up,
        "close_up_sec": CLOSE_UP_SEC,
        "colour": family_colour,
        "cost_chart": cost_chart.draw_cost,
        "cost_rows": cost_chart.cost_rows,
        "curves": figures.draw_curves,
        "feature_chart": charts.draw_features,
        "figure_names": FIGURES,
        "formats": formats,
        "min_instruments": MIN_INSTRUMENTS,
        "min_notes": MIN_NOTES,
        "num_bins": NUM_BINS,
        "num_examples": NUM_EXAMPLES,
        "published": published,
        "references": REFERENCES,
        "reliability_chart": charts.draw_reliability,
        "report_version": REPORT_VERSION,
        "shade": shade,
        "slice_chart": charts.draw_slices,
        "slice_titles": SHOWN_SLICES,
        "thumbnail": figures.draw_thumbnail,
        "waveform": figures.draw_waveform,
    },
)


_STAMP: Final = "report.json"
_WRITTEN: Final = ("report.html", REPORT_MARKDOWN, METRICS)

log = logging.getLogger(__name__)


def current_report(run_uri: str, *, force: bool = False) -> str:
    """The report of a run, which is written unless it shows what the run stores.

    Args:
      force: write it in any case.

    Returns:
      The report's URI.
    """
    run_id, uri = storage.name(run_uri), storage.join(run_uri, "report.html")
    stamp = storage.join(run_uri, _STAMP)
    content = _content(run_uri)
    is_there = {*_WRITTEN, _STAMP} <= storage.sizes(run_uri).keys()
    if not force and is_there and storage.read(stamp) == content:
        decided(log, "report", run_id, "reused", f"{uri} shows what run {run_id} stores")
        return uri
    decided(log, "report", run_id, "ran", f"writing the report of run {run_id}")
    build_report(run_uri)
    # It goes last: where it is, the report is.
    storage.put(stamp, content)
    return uri


def _content(run_uri: str) -> bytes:
    """What tells one state of a run, and the look of its report, from another."""
    folders = ["", *storage.list_folders(run_uri)]
    objects = {
        f"{folder}/{name}": identity
        for folder in folders
        for name, identity in storage.identities(storage.join(run_uri, folder)).items()
        if not name.startswith(("report.", "."))
        # That of the run follows from the report; that of a model is what it follows from.
        and (folder or name != METRICS)
    }
    text = json.dumps([REPORT_VERSION, sorted(objects.items())])
    stamp = {"report_version": REPORT_VERSION, "objects": hashlib.sha256(text.encode()).hexdigest()}
    return json.dumps(stamp).encode()
