"""Markdown pages on a run, a data set and decisions on promotion, for Prefect's artifacts."""

import base64
from collections.abc import Iterable, Sequence
from typing import Final

from pipelines import storage
from pipelines.decisions import Decision
from pipelines.promotion.stored import Promotion
from pipelines.report import formats, page_values, published_comparison
from pipelines.report.drawing.charts import draw_matrix
from pipelines.report.results import ModelResults, RunResults, load_results
from pipelines.report.templates import markdown_template
from pipelines.validate.verdicts import Validation

NO_GATE: Final = "No gate is set up: nothing was promoted."
NOT_ASKED: Final = "Promotion was not asked for: the gate was not looked at."
SEVERAL_SEEDS: Final = (
    "Several seeds measure a spread: none of them is promoted, and none keeps notes for a gate."
)


def summary_markdown(
    run_uri: str, decisions: Iterable[Decision], *, report: str, gate: str = NO_GATE
) -> str:
    """Return the page on a run.

    Args:
      decisions: of its stages, in their order.
      report: where the report is: a link if it is of the web, else a path or URI.
      gate: the decision on promotion, in Markdown.
    """
    run = load_results(run_uri)
    return _RUN(
        run=run,
        decisions=decisions,
        report=report,
        report_name=storage.name(report),
        is_link=report.startswith(("http://", "https://")),
        gate=gate,
        comparison=published_comparison.describe(run),
        titles={model.name: _title(model) for model in run.models},
        pictures={model.name: _picture(run, model) for model in run.models},
    )


def dataset_markdown(validation: Validation, decisions: Iterable[Decision]) -> str:
    """Return the page on one data set.

    Args:
      decisions: of its stages, in their order.
    """
    return _DATASET(validation=validation, decisions=decisions)


def promotions_markdown(promotions: Sequence[Promotion]) -> str:
    """Return what became of each model, alarms first, and how often the holdout was used."""
    return _PROMOTIONS(promotions=promotions).rstrip()


def _title(model: ModelResults) -> str:
    num = formats.plural(model.kept.num_scored, "note")
    return f"{model.name}: {formats.score(model.kept.accuracy)} of {num}"


def _picture(run: RunResults, model: ModelResults) -> str:
    png = draw_matrix(run.families, model.kept.confusion_matrix, title=_title(model))
    return base64.b64encode(png).decode()


_NAMES: Final = {"formats": formats, "values": page_values}
_RUN: Final = markdown_template("run_summary.md.j2", _NAMES)
_DATASET: Final = markdown_template("dataset_summary.md.j2", _NAMES)
_PROMOTIONS: Final = markdown_template("promotions.md.j2", _NAMES)
