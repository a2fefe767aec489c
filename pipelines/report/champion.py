"""A model beside the champion that it was set against, in figures of the gate's notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipelines.promotion.stored import Promotion
from pipelines.report.formats import NOTHING, score, span

_TITLES: Final[Mapping[str, str]] = {
    "accuracy": "accuracy",
    "instrument_accuracy": "accuracy, mean of instruments",
    "macro_f1": "macro F1",
}


@dataclass(frozen=True)
class Change:
    """One figure on the gate, as the page shows it."""

    title: str
    champion: str
    challenger: str
    difference: str
    interval: str


def changes(promotion: Promotion) -> list[Change]:
    """What changes from the champion to the model; of a first model, its accuracy alone."""
    figures = promotion.figures
    if "accuracy" in figures:
        interval = span(figures["interval"], "{:.4f}")
        return [Change("accuracy", NOTHING, score(figures["accuracy"]), NOTHING, interval)]
    return [_change(_TITLES[name], of) for name, of in _compared(figures) if name in _TITLES]


def _compared(figures: Mapping[str, Any]) -> Sequence[tuple[str, Mapping[str, Any]]]:
    found: Mapping[str, Mapping[str, Any]] = figures.get("figures", {})
    return list(found.items())


def _change(title: str, of: Mapping[str, Any]) -> Change:
    return Change(
        title,
        champion=score(of["first"]),
        challenger=score(of["second"]),
        difference=f"{of['difference']:+.4f}",
        interval=span(of["interval"], "{:+.4f}"),
    )
