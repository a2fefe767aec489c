"""A run's report: report.html and report.md, written again only where something has changed.

The page is one HTML file that needs no network, no script and no other file. Everything comes from
what the run stored; only samples and sounds are read from the test data set and its source, and the
report says so where those are gone.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from statistics import median
from typing import Any, Final

from pipelines import storage
from pipelines.decisions import record_decision
from pipelines.evaluate.metrics import NUM_BINS
from pipelines.evaluate.scores import MIN_INSTRUMENTS, MIN_NOTES
from pipelines.layout import METRICS, REPORT_HTML, REPORT_MARKDOWN
from pipelines.records import digest
from pipelines.registry.runs import load_run
from pipelines.report import formats, page_values
from pipelines.report.drawing import charts
from pipelines.report.drawing.palette import family_colour, shade
from pipelines.report.dropped_notes import NUM_EXAMPLES
from pipelines.report.example_notes import (
    AudioReader,
    OriginalsReader,
    note_values,
    open_readers,
)
from pipelines.report.findings import tally
from pipelines.report.published import REPORT
from pipelines.report.published_comparison import counterparts
from pipelines.report.report_data import ReportData, load_report_data
from pipelines.report.run_metrics import store_run_metrics
from pipelines.report.templates import html_template, markdown_template
from pipelines.studies.store import studies_of

# Raised whenever the report of the same run would look different.
REPORT_VERSION: Final = 9

# What a report was made of.
_STAMP: Final = "report.json"

_CLOSE_UP_SEC: Final = 0.05

log = logging.getLogger(__name__)


def current_report(run_uri: str, *, force: bool = False) -> str:
    """Write the report of a run unless there is one that shows what the run stores.

    The identities of the objects of the run are stored beside it, so that nothing else has to be
    read to find out.

    Args:
      force: write it in any case.

    Returns:
      The report's URI.
    """
    run_id, uri = storage.name(run_uri), storage.join(run_uri, REPORT_HTML)
    stamp = storage.join(run_uri, _STAMP)
    content = _stamp(run_uri)
    written = {REPORT_HTML, REPORT_MARKDOWN, METRICS, _STAMP}
    is_there = written <= storage.sizes(run_uri).keys()
    if not force and is_there and storage.read(stamp) == content:
        record_decision(log, "report", run_id, "reused", f"{uri} shows what run {run_id} stores")
        return uri
    record_decision(log, "report", run_id, "ran", f"writing the report of run {run_id}")
    build_report(run_uri)
    # It is written last: where it is, the report is.
    storage.put(stamp, content)
    return uri


def _stamp(run_uri: str) -> bytes:
    """Return what identifies a state of a run and a version of its report."""
    objects = {
        f"{folder}/{name}": identity
        for folder in ["", *storage.list_folders(run_uri)]
        for name, identity in storage.identities(storage.join(run_uri, folder)).items()
        if not name.startswith(("report.", "."))
        # That of the run follows from the report; that of a model is what it follows from.
        and (folder or name != METRICS)
    }
    root = storage.parent(storage.parent(run_uri))
    # Studies decide claims; their records change only when trials are added.
    studies = [
        (storage.name(uri), digest(asdict(record)))
        for uri, record in studies_of(root, load_run(run_uri).datasets["train"].manifest_digest)
    ]
    text = json.dumps([REPORT_VERSION, sorted(objects.items()), *([studies] if studies else [])])
    stamp = {"report_version": REPORT_VERSION, "objects": hashlib.sha256(text.encode()).hexdigest()}
    return json.dumps(stamp).encode()


def build_report(run_uri: str) -> str:
    """Write report.html beside what the run stored, and its content as report.md and metrics.json.

    Returns:
      The report's URI.

    Raises:
      ConfigError: something that the run should have stored is missing.
      DatasetError: what the run stored cannot be read or contradicts itself.
    """
    data = load_report_data(run_uri)
    storage.put(storage.join(run_uri, REPORT_MARKDOWN), render_markdown(data).encode())
    store_run_metrics(data.run)
    uri = storage.join(run_uri, REPORT_HTML)
    storage.put(uri, render_html(data, *open_readers(data.run)).encode())
    return uri


def render_html(
    data: ReportData, read_audio: AudioReader, read_originals: OriginalsReader = lambda _: {}
) -> str:
    """Return the page, the same for the same run.

    Args:
      read_audio: called once.
      read_originals: called once, where `read_audio` has an answer.
    """
    run = data.run
    notes = note_values(run, read_audio, read_originals)
    datasets = run.record.datasets.values()
    return _HTML(
        **_values(data),
        **notes,
        loss_limits=page_values.loss_limits(run),
        balance_limit=charts.largest_share(dataset.families for dataset in datasets),
        counterparts=counterparts(run, has_samples=not notes["waveforms"].missing),
    )


def render_markdown(data: ReportData) -> str:
    """Return the content of the page without pictures and sounds, to read and to compare."""
    return _MARKDOWN(**_values(data))


def _values(data: ReportData) -> Mapping[str, Any]:
    """Return the values that both forms show."""
    run = data.run
    return {
        "data": data,
        "run": run,
        "record": run.record,
        "tally": tally(data.findings),
        "accuracies": page_values.accuracies(run),
        "choices": page_values.note_choices(run),
    }


_NAMES: Final[Mapping[str, Any]] = {
    "formats": formats,
    "min_instruments": MIN_INSTRUMENTS,
    "min_notes": MIN_NOTES,
    "num_examples": NUM_EXAMPLES,
    "reference": REPORT,
    "values": page_values,
}

_MARKDOWN: Final = markdown_template("report.md.j2", _NAMES)

_HTML: Final = html_template(
    "report.html.j2",
    {
        **_NAMES,
        "charts": charts,
        "close_up_sec": _CLOSE_UP_SEC,
        "colour": family_colour,
        "median": median,
        "num_bins": NUM_BINS,
        "report_version": REPORT_VERSION,
        "shade": shade,
    },
)
