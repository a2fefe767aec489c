"""A run's report as Markdown: the same story without pictures and sounds, to read and to diff."""

from typing import Final

from pipelines.evaluate.scores import MIN_INSTRUMENTS, MIN_NOTES
from pipelines.promotion.stored import Promotion
from pipelines.report import formats
from pipelines.report.findings import tally
from pipelines.report.markdown.claims import claims_markdown, cost_markdown, features_markdown
from pipelines.report.markdown.data import data_markdown
from pipelines.report.markdown.provenance import provenance_markdown
from pipelines.report.markdown.scores import evaluation_markdown, figure
from pipelines.report.markdown.text import plain, table
from pipelines.report.page_values import accuracies, changes
from pipelines.report.report_data import ReportData
from pipelines.report.summaries import models_table

REPORT_MARKDOWN: Final = "report.md"

_COURSES: Final = ("loss", "accuracy", "val_loss", "val_accuracy")


def report_markdown(story: ReportData) -> str:
    """The page, the same for the same run."""
    parts = [
        f"# Run {plain(story.run.record.run_id)}: instrument families of NSynth notes",
        *_result(story),
        *data_markdown(story),
        *_training(story),
        *evaluation_markdown(story.run),
        *features_markdown(story.features),
        *cost_markdown(story.cost),
        *claims_markdown(story),
        *provenance_markdown(story),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _result(story: ReportData) -> list[str]:
    run = story.run
    promotions = [
        part for name, of in story.promotions.items() for part in _promotion(plain(name), of)
    ]
    rows = [
        (title, *(figure(getattr(model, of), name) for model in run.models))
        for title, of, name in accuracies(run)
    ]
    return [
        "## Result",
        f"**{plain(story.verdict)}**",
        plain(story.protocol),
        *(promotions or ["No model of this run was set against a champion."]),
        table(("", *(model.name for model in run.models)), rows, num_left=1),
        "In brackets intervals of 95 %, which resample instruments and then their notes; below "
        f"{MIN_NOTES} notes or {MIN_INSTRUMENTS} instruments there is none.",
        models_table(run),
        plain(story.comparison),
        f"Findings of the reference: {tally(story.findings)}.",
    ]


def _promotion(name: str, of: Promotion) -> list[str]:
    look = f" (look {of.gate.look} at the gate)" if of.gate and of.gate.look else ""
    rows = [(c.title, c.champion, c.challenger, c.difference, c.interval) for c in changes(of)]
    head = ("on the gate", "champion", "this run", "change", "95 % interval")
    return [
        f"**{name}**, {of.outcome}: {plain(of.why)}{look}.",
        table(head, rows, num_left=1) if rows else "",
    ]


def _training(story: ReportData) -> list[str]:
    run = story.run
    parts = ["## Training"]
    for model in run.models:
        stored = ", ".join(
            f"epoch {of.stored_epoch}" for of in run.record.models[model.name].trainings
        )
        seconds = formats.duration(sum(model.history["seconds"]))
        parts.append(f"### {plain(model.name)}, trained")
        parts.append(f"{seconds} in training; {stored} stored.")
        courses = [name for name in _COURSES if name in model.history]
        rows = [
            (f"{epoch:g}", *(f"{value:.4f}" for value in values))
            for epoch, *values in zip(
                model.history["epoch"], *(model.history[name] for name in courses), strict=True
            )
        ]
        head = ("epoch", *(name.replace("val_", "validation ") for name in courses))
        parts.append(table(head, rows, num_left=0))
    return parts
