"""The page of a study: its trials, what each change gains, and accuracy against cost."""

import logging
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pipelines import storage
from pipelines.evaluate.comparison import Difference
from pipelines.layout import RUNS_FOLDER, STUDY_PAGE
from pipelines.registry.runs import load_history
from pipelines.report import formats
from pipelines.report.drawing.figure import INK, MARK, QUIET, figure
from pipelines.report.drawing.palette import RUN_COLOURS, RUN_COLOURS_IN_THE_DARK
from pipelines.report.drawing.run_charts import (
    LearningCurve,
    draw_differences,
    draw_key,
    draw_learning_curves,
)
from pipelines.report.runs_comparison import relative_link
from pipelines.report.templates import html_template
from pipelines.studies.results import StudyRecord, TrialResult, choose, pareto_front
from pipelines.text import visible

_COSTS: Final = {"epoch_seconds": "seconds an epoch", "num_parameters": "parameters"}

log = logging.getLogger(__name__)


def write_study_page(record: StudyRecord, uri: str) -> str:
    """Write the page in the folder of the study; the same page for the same record.

    Returns:
      The page's URI.
    """
    page = storage.join(uri, STUDY_PAGE)
    runs = storage.join(storage.parent(storage.parent(uri)), RUNS_FOLDER)
    curves = [
        LearningCurve(number, trial.name, history["epoch"], history["val_accuracy"])
        for number, trial in enumerate(record.trials, start=1)
        for history in [load_history(storage.join(runs, trial.run_ids[0], trial.model))]
    ]
    links = {
        run_id: relative_link(page, storage.join(runs, run_id, "report.html"))
        for trial in record.trials
        for run_id in trial.run_ids
        if storage.exists(storage.join(runs, run_id, "report.html"))
    }
    storage.put(page, render_study(record, curves, links).encode())
    log.debug("%s shows %s", page, formats.plural(len(record.trials), "trial"))
    return page


def render_study(
    record: StudyRecord, curves: Sequence[LearningCurve], links: dict[str, str]
) -> str:
    """Return the page.

    Args:
      curves: validation accuracy by epoch, of the first seed of each trial.
      links: of reports, by run.
    """
    gains = [
        (trial.name, Difference(trial.accuracy - trial.gain, trial.accuracy, trial.gain, ends))
        for trial in record.trials
        if trial.gain is not None
        for ends in [trial.gain_interval]
    ]
    return _TEMPLATE(record=record, curves=curves, gains=gains, links=links)


def draw_costs(trials: Sequence[TrialResult], cost: str) -> Markup:
    """Draw accuracy against a cost, with the front of trials that none beats in both.

    Args:
      cost: `epoch_seconds` or `num_parameters`.
    """
    return figure(
        partial(_plot_costs, trials=trials, cost=cost),
        f"accuracy against {_COSTS[cost]}",
        size=(4.3, 2.8),
        titles={f"trial-{place}": trial.name for place, trial in enumerate(trials)},
    )


def _plot_costs(axes: Axes, *, trials: Sequence[TrialResult], cost: str) -> None:
    front = pareto_front(trials, cost)
    costs, accuracies = [getattr(one, cost) for one in front], [one.accuracy for one in front]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
    # Its own labels are formulas, which the page would show as they are written.
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.plot(costs, accuracies, "-", color=MARK, linewidth=0.8)
    middle = math.sqrt(min(getattr(one, cost) for one in trials) * max(costs))
    for place, trial in enumerate(trials):
        x, is_best = getattr(trial, cost), trial in front
        style: dict[str, Any] = {"gid": f"trial-{place}", "clip_on": False, "ms": 5}
        axes.plot(x, trial.accuracy, "ox"[not is_best], color=MARK if is_best else QUIET, **style)
        if is_best:
            is_left = x <= middle
            label = axes.annotate(
                visible(trial.name),
                (x, trial.accuracy),
                xytext=(6 if is_left else -6, 3),
                textcoords="offset points",
                ha="left" if is_left else "right",
                color=INK,
            )
            # Long names would take the space of the axes.
            label.set_in_layout(False)
    axes.margins(y=0.15)
    axes.set_xlabel(_COSTS[cost])
    axes.set_ylabel("accuracy")


_TEMPLATE: Final = html_template(
    "study.html.j2",
    {
        "best": choose,
        "colours": list(zip(RUN_COLOURS, RUN_COLOURS_IN_THE_DARK, strict=True)),
        "costs": _COSTS,
        "draw_costs": draw_costs,
        "draw_curves": draw_learning_curves,
        "draw_differences": partial(draw_differences, base="what it changes"),
        "formats": formats,
        "key": draw_key,
    },
)
