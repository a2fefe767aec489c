"""One page over all runs under a root: parameters, scores and a link to each report."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.errors import PipelineError
from pipelines.evaluate.scores import Scores
from pipelines.evaluate.stored import read_metrics
from pipelines.layout import HISTORY, REPORT_HTML, STUDIES_FOLDER, STUDY_PAGE
from pipelines.registry.champions import champions
from pipelines.registry.inventory import stored_run
from pipelines.registry.runs import load_history
from pipelines.report import formats
from pipelines.report.drawing.run_charts import draw_sparkline
from pipelines.report.templates import html_template
from pipelines.studies.results import choose
from pipelines.studies.store import load_studies

INDEX: Final = "index.html"

# Columns of a history that pages over runs show, and what they call them.
CURVE_TITLES: Final = {"val_accuracy": "validation accuracy", "val_loss": "validation loss"}

# Runs read at once: each is a few small files, which take their time on object storage only.
_NUM_READERS: Final = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BriefModel:
    """One model of a run, from small files alone.

    Attributes:
      kept: of the test notes that validation kept.
      history: columns of `CURVE_TITLES`, and `epoch`; without those that the run does not store.
    """

    name: str
    kept: Scores
    history: Mapping[str, Sequence[float]]


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
class StudyRow:
    """A study as the page shows it.

    Attributes:
      link: of its page from this one.
      best: name of its most accurate trial.
    """

    name: str
    question: str
    num_trials: int
    best: str
    accuracy: float
    link: str


@dataclass(frozen=True)
class Champion:
    """The present champion of a model name, by the number of its entry in the registry."""

    model: str
    run_id: str
    number: int


def load_brief(run_uri: str, name: str) -> BriefModel:
    """Read metrics and history of a model of a run.

    Raises:
      ConfigError: there are no metrics.
      DatasetError: one of the two is damaged, or of a format that this version does not read.
    """
    uri = storage.join(run_uri, name)
    history = {}
    if storage.exists(storage.join(uri, HISTORY)):
        history = load_history(uri, columns=("epoch",))
    curves = {key: history[key] for key in ("epoch", *CURVE_TITLES) if history.get(key)}
    return BriefModel(name, read_metrics(uri), curves)


def build_index(root: str) -> str:
    """Write `index.html` in the root, newest run first, and return its URI.

    Where two processes do so at once, the later page stays, which may lack the other's run; the
    next run corrects that.
    """
    runs = storage.join(storage.absolute(root), "runs")
    with ThreadPoolExecutor(_NUM_READERS) as pool:
        uris = [storage.join(runs, name) for name in storage.list_folders(runs)]
        rows = list(pool.map(_row, uris))
    rows.sort(key=lambda row: (row.created, row.run_id), reverse=True)
    entries, troubles = champions(root)
    present = [Champion(name, entry.run_id, entry.number) for name, entry in entries.items()]
    studies = [
        StudyRow(record.name, record.question, len(record.trials), best.name, best.accuracy, link)
        for place, record in load_studies(root)
        for best in [choose(record.trials)]
        for link in [storage.join(STUDIES_FOLDER, storage.name(place), STUDY_PAGE)]
    ]
    uri = storage.join(storage.absolute(root), INDEX)
    page = render_index(rows, present, "; ".join(troubles.values()), studies)
    storage.put(uri, page.encode())
    log.info("%s lists %s", uri, formats.plural(len(rows), "run"))
    return uri


def render_index(
    rows: Sequence[RunRow],
    champions: Sequence[Champion] = (),
    trouble: str = "",
    studies: Sequence[StudyRow] = (),
) -> str:
    """Return the page, the same for the same rows.

    Args:
      trouble: why the champions are not known; empty where they are.
    """
    return _TEMPLATE(
        rows=rows,
        champions=champions,
        marked={(champion.run_id, champion.model) for champion in champions},
        links={row.run_id: row.link for row in rows},
        trouble=trouble,
        studies=studies,
    )


def _row(run_uri: str) -> RunRow:
    run, run_id = stored_run(run_uri), storage.name(run_uri)
    has_report = storage.exists(storage.join(run_uri, REPORT_HTML))
    link = f"runs/{run_id}/report.html" if has_report else ""
    if run.record is None:
        return RunRow(run_id, "", "", (), link, run.note)
    record, models, note = run.record, list[BriefModel](), ""
    try:
        models = [load_brief(run_uri, name) for name in record.models]
    except PipelineError as err:
        note = str(err)
    return RunRow(run_id, record.created, record.experiment.protocol, models, link, note)


_TEMPLATE: Final = html_template(
    "index.html.j2", {"formats": formats, "spark": draw_sparkline, "curve_titles": CURVE_TITLES}
)
