"""The scores of a run's models as Markdown."""

from collections.abc import Mapping, Sequence

from pipelines.evaluate.scores import Scores, Slice
from pipelines.report import formats
from pipelines.report.markdown.text import plain, table
from pipelines.report.page_values import (
    FIGURES,
    SHOWN_SLICES,
    most_confused,
    note_choices,
    score_views,
    shown_slices,
)
from pipelines.report.results import ModelResults, RunResults


def evaluation_markdown(run: RunResults) -> list[str]:
    """The section, in blocks."""
    return ["## Evaluation", *(part for model in run.models for part in _model(run, model))]


def figure(scores: Scores | None, name: str) -> str:
    """A figure with its interval in brackets, where it has one."""
    shown, ends = formats.figure(scores, name), formats.interval(scores, name)
    return shown if ends == formats.NOTHING else f"{shown} ({ends})"


def _model(run: RunResults, model: ModelResults) -> list[str]:
    choices = note_choices(run)
    figures = [
        (title, *(figure(getattr(model, of), name) for _, of in choices)) for title, name in FIGURES
    ]
    confused = [
        (true, predicted, formats.count(number), f"{100 * share:.0f} %")
        for true, predicted, number, share in most_confused(model.kept, run.families)
    ]
    parts = [
        f"### {plain(model.name)}, evaluated",
        table(("", *(title for title, _ in choices)), figures, num_left=1),
        "Most confused:",
        table(("true", "predicted", "notes", "of the family"), confused, num_left=2),
        "Parts of the kept notes:",
        _slices(shown_slices(model)),
    ]
    for title, of in score_views(model):
        rows = [
            (name, *(f"{value:.2f}" for value in values), formats.count(support))
            for name, (*values, support) in of.classification_report.items()
        ]
        parts.append(f"Classification report, {title}:")
        parts.append(table(("", "precision", "recall", "f1", "notes"), rows, num_left=1))
    return parts


def _slices(found: Mapping[str, Sequence[Slice]]) -> str:
    rows = [
        (
            f"{SHOWN_SLICES[by]} {of.name}",
            formats.count(of.num_notes),
            formats.count(of.num_instruments),
            "too few" if of.accuracy is None else formats.score(of.accuracy),
            formats.span((of.intervals or {}).get("accuracy"), "{:.4f}"),
        )
        for by, slices in found.items()
        for of in slices
    ]
    head = ("", "notes", "instruments", "accuracy", "95 % interval")
    return table(head, rows, num_left=1)
