"""The words beside the notes: what a cell holds, and what the model made of a note."""

from typing import Final

from pipelines.report.formats import plural, probability
from pipelines.report.selection import MISSED, SLIGHT, SURE, Cell, Pick

TITLES: Final = {
    "sure": f"p above {SURE}",
    "missed": f"p below {MISSED}",
    "ahead": f"ahead by less than {SLIGHT}",
    "behind": f"behind by less than {SLIGHT}",
}
"""Heads a cell, by its rule."""


def summarise(cell: Cell) -> str:
    """How many notes qualify; where none does, what came nearest."""
    if cell.num_notes:
        return plural(cell.num_notes, "note")
    if cell.nearest is None:
        return "no kept note of this family"
    p = probability(cell.nearest.true_probability)
    margin = cell.nearest.margin
    side = "behind" if margin < 0 else "ahead"
    away = probability(abs(margin))
    return {
        "sure": f"none above {SURE}; highest {p}",
        "missed": f"none below {MISSED}; lowest {p}",
        "ahead": f"none; nearest {side} by {away}",
        "behind": f"none; nearest {side} by {away}",
    }[cell.rule]


def caption(pick: Pick, family: str) -> str:
    """The true class and the best other one, with their probabilities."""
    true, other = probability(pick.true_probability), probability(pick.other_probability)
    return f"{family} {true}, {pick.other} {other}"
