"""One page over all runs under a root: parameters, scores and a link to each report."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.errors import PipelineError
from pipelines.evaluate.scores import Scores
from pipelines.evaluate.stored import load_metrics
from pipelines.layout import HISTORY
from pipelines.registry.champions import champions
from pipelines.registry.inventory import stored_run
from pipelines.registry.runs import load_history
from pipelines.report import formats
from pipelines.report.drawing.sparkline import draw_sparkline
from pipelines.report.templates import template

COURSES: Final = ("val_loss", "val_accuracy")


@dataclass(frozen=True)
class BriefModel:
    """One model of a run.

    Attributes:
      kept: of the test notes that validation kept.
      history: `COURSES` by epoch, and `epoch`; without those that the run does not keep.
    """

    name: str
    kept: Scores
    history: Mapping[str, Sequence[float]]


def load_brief(run_uri: str, name: str) -> BriefModel:
    """Reads metrics and history of a model of a run.

    Raises:
      ConfigError: there are no metrics.
      DatasetError: one of the two is damaged, or of a format that this version does not read.
    """
    uri = storage.join(run_uri, name)
    history = {}
    if storage.exists(storage.join(uri, HISTORY)):
        history = load_history(uri, columns=("epoch",))
    courses = {key: history[key] for key in ("epoch", *COURSES) if history.get(key)}
    return BriefModel(name, Scores.from_dict(load_metrics(uri)), courses)


INDEX: Final = "index.html"

_READERS: Final = 16
"""Runs read at once: each is a few small files, which take their time on object storage only."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRow:
    """A run as the page shows it.

    Attributes:
      link: of the report from the page; empty where there is none.
      note: why the run shows no models; empty where it does.
    """

    run_id: str
    created: str
    protocol: str
    models: Sequence[BriefModel]
    link: str
    note: str


@dataclass(frozen=True)
class Crowned:
    """The present champion of a model name, by the number of its entry in the registry."""

    model: str
    run_id: str
    number: int


def build_index(root: str) -> str:
    """Writes `index.html` in the root, newest run first; returns its URI.

    Of two that do so at once the later one stays, which may not know the other's run: the next run
    puts that right.
    """
    runs = storage.join(storage.absolute(root), "runs")
    with ThreadPoolExecutor(_READERS) as pool:
        uris = [storage.join(runs, name) for name in storage.list_folders(runs)]
        rows = list(pool.map(_row, uris))
    rows.sort(key=lambda row: (row.created, row.run_id), reverse=True)
    crowned, trouble = _crowned(root)
    uri = storage.join(storage.absolute(root), INDEX)
    storage.put(uri, render_index(rows, crowned, trouble).encode())
    log.info("%s lists %s", uri, formats.plural(len(rows), "run"))
    return uri


def render_index(rows: Sequence[RunRow], crowned: Sequence[Crowned] = (), trouble: str = "") -> str:
    """The page, the same for the same rows.

    Args:
      crowned: the champions.
      trouble: why they are not known; empty where they are.
    """
    return _TEMPLATE.render(
        rows=rows,
        crowned=crowned,
        champions={(of.run_id, of.model) for of in crowned},
        links={row.run_id: row.link for row in rows},
        trouble=trouble,
    )


def _crowned(root: str) -> tuple[list[Crowned], str]:
    found, troubles = champions(root)
    crowned = [Crowned(name, entry.run_id, entry.number) for name, entry in found.items()]
    return crowned, "; ".join(troubles.values())


def _row(run_uri: str) -> RunRow:
    run, run_id = stored_run(run_uri), storage.name(run_uri)
    report = storage.join(run_uri, "report.html")
    link = f"runs/{run_id}/report.html" if storage.exists(report) else ""
    if run.record is None:
        return RunRow(run_id, "", "", (), link, run.note)
    record = run.record
    try:
        models = tuple(load_brief(run_uri, name) for name in record.models)
    except PipelineError as err:
        return RunRow(run_id, record.created, record.experiment.protocol, (), link, str(err))
    return RunRow(run_id, record.created, record.experiment.protocol, models, link, "")


_TEMPLATE: Final = template("index.html.j2", {"formats": formats, "spark": draw_sparkline})
