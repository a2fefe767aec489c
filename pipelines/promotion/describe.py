"""Decisions on promotion in Markdown, for the page of a run."""

from collections.abc import Sequence
from typing import Final

from pipelines.promotion.stored import Promotion
from pipelines.report.markdown.text import plain, table

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
