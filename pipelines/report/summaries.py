"""Markdown pages on a run, a data set and decisions on promotion, for Prefect's artifacts."""

import base64
from collections.abc import Iterable, Sequence
from typing import Final

from pipelines import storage
from pipelines.decisions import Decision
from pipelines.promotion.stored import Promotion
from pipelines.report import formats, published_comparison
from pipelines.report.drawing.matrix_image import draw_matrix
from pipelines.report.markdown.text import plain, table
from pipelines.report.page_values import count_rows
from pipelines.report.results import ModelResults, RunResults, load_results
from pipelines.text import markdown_code
from pipelines.validate.verdicts import Validation

NO_GATE: Final = "No gate is set up: nothing was promoted."


def summary_markdown(
    run_uri: str, decisions: Iterable[Decision], *, report: str, gate: str = NO_GATE
) -> str:
    """The page on a run.

    Args:
      decisions: what the stages said, in their order.
      report: where the report is: a link if it is of the web, else a path or URI.
      gate: the verdict on promotion, a sentence or more of Markdown.
    """
    run = load_results(run_uri)
    accuracies = ", ".join(f"{m.name} {formats.score(m.kept.accuracy)}" for m in run.models)
    parts = [
        f"# {plain(accuracies)}",
        f"Run {markdown_code(run.record.run_id)}, report: {_place(report)}",
        f"## Promotion\n\n{gate}",
        "## Scores on the test notes",
        models_table(run),
        plain(published_comparison.describe(run)),
        f"## What was done, and why\n\n{decisions_table(decisions)}",
        f"## What became of the notes\n\n{notes_table(run)}",
        "## Confusion matrices of the kept test notes",
        *(_picture(run.families, model) for model in run.models),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def dataset_markdown(validation: Validation, decisions: Iterable[Decision]) -> str:
    """The page on one data set.

    Args:
      decisions: what the stages said, in their order.
    """
    kept, seen = formats.count(validation.num_kept), formats.count(validation.num_seen)
    families = [(family, formats.count(num)) for family, num in validation.families.items()]
    parts = [
        f"# {kept} of {seen} notes kept",
        f"Data set: {markdown_code(validation.manifest_uri)}",
        plain(validation.official),
        f"## What was done, and why\n\n{decisions_table(decisions)}",
        f"## Notes kept, by family\n\n{table(('Family', 'Notes'), families, num_left=1)}",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def models_table(run: RunResults) -> str:
    """A row a model, its scores beside the published one."""
    head = (
        "Model",
        "Accuracy",
        "Notes scored",
        "Accuracy, all notes",
        "All notes",
        "Published accuracy",
        "Parameters",
    )
    return table(head, map(_model, run.models), num_left=1)


def decisions_table(decisions: Iterable[Decision]) -> str:
    """A row a decision."""
    rows = [(d.stage, d.subject, d.action, d.why) for d in decisions]
    return table(("Stage", "Of", "Did", "Why"), rows)


def notes_table(run: RunResults) -> str:
    """Where the notes of each data set went, and the records that never became notes."""
    datasets = run.record.datasets
    rows = [(name, *map(formats.count, counts)) for name, counts in count_rows(datasets)]
    return table(("", *datasets), rows, num_left=1)


def _model(model: ModelResults) -> list[str]:
    return [
        model.name,
        formats.score(model.kept.accuracy),
        formats.count(model.kept.num_scored),
        formats.score(model.every.accuracy),
        formats.count(model.every.num_scored),
        formats.score(model.published.accuracy) if model.published else "none",
        formats.count(model.num_parameters),
    ]


def _place(report: str) -> str:
    if report.startswith(("http://", "https://")):
        return f"[{plain(storage.name(report))}]({report})"
    return markdown_code(report)


def _picture(families: Sequence[str], model: ModelResults) -> str:
    score, num = formats.score(model.kept.accuracy), formats.count(model.kept.num_scored)
    title = f"{model.name}: {score} of {num} notes"
    png = draw_matrix(families, model.kept.confusion_matrix, title=title)
    picture = base64.b64encode(png).decode()
    return f"![Confusion matrix of {plain(title)}](data:image/png;base64,{picture})"


NOT_ASKED: Final = "Promotion was not asked for: the gate was not looked at."
SEVERAL_SEEDS: Final = (
    "Several seeds measure a spread: none of them is promoted, and none keeps notes for a gate."
)


def promotions_markdown(promotions: Sequence[Promotion]) -> str:
    """What became of each model, what a watcher must know, and how often the gate was asked."""
    alarms = [f"**{plain(alarm)}**" for promotion in promotions for alarm in promotion.alarms]
    rows = [
        (
            promotion.model,
            promotion.outcome if promotion.is_news else f"{promotion.outcome} before",
            promotion.why,
            _look(promotion),
        )
        for promotion in promotions
    ]
    return "\n\n".join([*alarms, table(("Model", "Verdict", "Why", "Gate"), rows)])


def _look(promotion: Promotion) -> str:
    gate = promotion.gate
    if gate is None:
        return "none"
    size = f"{gate.num_notes:,} notes of {gate.num_instruments:,} instruments"
    return size if gate.look is None else f"look {gate.look} at this gate, {size}"
