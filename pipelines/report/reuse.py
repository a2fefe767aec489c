"""A report is written again only where something that it shows has changed since.

What a report was made of is kept beside it, by the identity of each object of the run, so that
nothing has to be read to find out.
"""

import hashlib
import json
import logging
from typing import Final

from pipelines import storage
from pipelines.decisions import decided
from pipelines.layout import METRICS
from pipelines.report.html import REPORT_VERSION, build_report
from pipelines.report.markdown.report import REPORT_MARKDOWN

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
