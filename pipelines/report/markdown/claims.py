"""The reference's findings as Markdown, with the measurements that they rest on."""

from collections.abc import Mapping
from typing import Any

from pipelines.report import formats
from pipelines.report.drawing.cost_chart import cost_rows
from pipelines.report.findings import Claim, tally
from pipelines.report.markdown.text import plain, table
from pipelines.report.report_data import ReportData


def features_markdown(features: Mapping[str, Any] | None) -> list[str]:
    """What predicts the family, in blocks; none where it was not measured."""
    if features is None:
        return []
    rows = [
        (of["feature"], formats.score(of["accuracy"]), formats.span(of["interval"], "{:.4f}"))
        for of in features["scores"]
    ]
    return [
        "## What predicts the family",
        "Accuracy of a random forest of each feature alone:",
        table(("", "accuracy", "95 % interval"), rows, num_left=1),
    ]


def cost_markdown(cost: Mapping[str, Any] | None) -> list[str]:
    """What a longer note costs, in blocks; none where it was not measured."""
    if cost is None:
        return []
    rows = [(name, *cells) for name, cells in cost_rows(cost)]
    return [
        "## What a longer note costs",
        f"Training time of a note, in batches of {formats.count(cost['batch_size'])}, on "
        f"{plain(cost['device'])}; the exponent is 1 where time is in proportion to samples:",
        table(("", *cost["models"]), rows, num_left=1),
    ]


def claims_markdown(story: ReportData) -> list[str]:
    """The section, in blocks."""
    return [
        "## Claims of the reference",
        f"**{tally(story.findings)}**",
        plain(story.setting),
        *(part for number, of in enumerate(story.findings, start=1) for part in _claim(number, of)),
    ]


def _claim(number: int, of: Claim) -> list[str]:
    rows = [(effect.name, effect.value, effect.interval) for effect in of.effects]
    places = "; ".join(f"{what} ({place})" for place, what in of.rests_on)
    terms = [
        f"- Rule: {plain(of.rule)}",
        f"- Left open: {plain(of.left_open)}" if of.left_open else "",
        f"- Rests on: {plain(places)}.",
    ]
    return [
        f"### {number}. {plain(of.finding)} {of.verdict.capitalize()}",
        table(("", "effect", "95 % interval"), rows, num_left=1) if rows else "",
        "\n".join(filter(None, terms)),
    ]
