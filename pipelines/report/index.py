"""One page over all runs under a root: what each is, how it scored, and where its report is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.errors import PipelineError
from pipelines.evaluate.scores import Scores
from pipelines.evaluate.stored import load_metrics
from pipelines.registry.inventory import StoredRun, list_runs
from pipelines.report import formats
from pipelines.report.sparkline import draw_sparkline
from pipelines.report.templates import template

INDEX: Final = "index.html"


@dataclass(frozen=True)
class ModelRow:
    """One model of a run.

    Attributes:
      history: `val_loss` and `val_accuracy` by epoch; empty where the run keeps none.
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
    models: Sequence[ModelRow]
    link: str
    note: str


def build_index(root: str) -> str:
    """Writes `index.html` in the root, newest run first; returns its URI."""
    rows = [_row(run) for run in list_runs(root)]
    rows.sort(key=lambda row: (row.created, row.run_id), reverse=True)
    uri = storage.join(storage.absolute(root), INDEX)
    storage.put(uri, render_index(rows).encode())
    return uri


def render_index(rows: Sequence[RunRow]) -> str:
    """The page, the same for the same rows."""
    return _TEMPLATE.render(rows=rows)


def _row(run: StoredRun) -> RunRow:
    run_id = storage.name(run.uri)
    report = storage.join(run.uri, "report.html")
    link = f"runs/{run_id}/report.html" if storage.exists(report) else ""
    if run.record is None:
        return RunRow(run_id, "", "", (), link, run.note)
    record = run.record
    try:
        models = tuple(_model(run.uri, name) for name in record.models)
    except (PipelineError, ValueError, KeyError, TypeError) as err:
        return RunRow(run_id, record.created, record.experiment.protocol, (), link, str(err))
    return RunRow(run_id, record.created, record.experiment.protocol, models, link, "")


def _model(run_uri: str, name: str) -> ModelRow:
    uri = storage.join(run_uri, name)
    place = storage.join(uri, "history.json")
    # A grouped run has a history a fold, and none of the model.
    history = json.loads(storage.read(place)) if storage.exists(place) else {}
    courses = {key: history[key] for key in ("val_loss", "val_accuracy") if history.get(key)}
    return ModelRow(name, Scores.from_dict(load_metrics(uri)), courses)


_TEMPLATE: Final = template("index.html.j2", {"formats": formats, "spark": draw_sparkline})
