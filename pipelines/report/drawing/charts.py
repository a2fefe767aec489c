"""Charts of scores with their intervals, as SVG that takes its colours from the page.

They are written here, not by matplotlib, since they are lines and dots whose text should follow the
page into the dark.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from pipelines.evaluate.scores import Slice
from pipelines.report.drawing.svg import dot, line, opening, text

_WIDTH: Final = 420
_ROW: Final = 22
_LEFT: Final = 130
_LETTER: Final = 7.2
"""Pixels of a letter of a wide font; long names need more room than `_LEFT`."""
_RIGHT: Final = 70
_SIDE: Final = 240
_MARGIN: Final = 34


def draw_slices(slices: Sequence[Slice], title: str) -> Markup:
    """Accuracy of each slice: a dot, a whisker where there is an interval, the notes beside it."""
    height = _ROW * len(slices) + 24
    left = max([_LEFT, *(_LETTER * len(of.name) + 12 for of in slices)])

    def at(share: float) -> float:
        return left + share * (_WIDTH - left - _RIGHT)

    parts = [opening(_WIDTH, height, f"accuracy by {title}")]
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = at(share)
        parts.append(line(x, 0, x, height - 20, "grid"))
        parts.append(text(x, height - 6, f"{share:g}", anchor="middle", kind="quiet"))
    for number, of in enumerate(slices):
        y = _ROW * number + _ROW / 2
        parts.append(text(left - 8, y + 4, of.name, anchor="end"))
        parts.append(text(_WIDTH - 4, y + 4, f"{of.num_notes:,} notes", anchor="end", kind="quiet"))
        if of.accuracy is None:
            parts.append(text(at(0) + 4, y + 4, "too few", kind="quiet"))
            continue
        if ends := (of.intervals or {}).get("accuracy"):
            parts.append(line(at(ends[0]), y, at(ends[1]), y, "whisker"))
        parts.append(dot(at(of.accuracy), y))
    return Markup("").join([*parts, Markup("</svg>")])


def draw_features(scores: Sequence[Mapping[str, Any]]) -> Markup:
    """Accuracy of each feature, as features.json has them; drawn like slices."""
    found = [
        Slice(
            name=of["feature"],
            num_notes=of["num_notes"],
            num_instruments=of["num_instruments"],
            num_correct=round(of["accuracy"] * of["num_notes"]),
            too_few=False,
            accuracy=of["accuracy"],
            intervals={"accuracy": tuple(of["interval"])} if of["interval"] else {},
        )
        for of in scores
    ]
    return draw_slices(found, "feature")


def draw_reliability(bins: Sequence[Slice]) -> Markup:
    """Accuracy against confidence, a dot a bin of equally many notes; equal on the diagonal."""
    size = _SIDE + 2 * _MARGIN
    parts = [opening(size, size, "accuracy by confidence"), line(*_at(0, 0), *_at(1, 1), "grid")]
    for share in (0, 0.5, 1):
        (x, bottom), (left, y) = _at(share, 0), _at(0, share)
        parts.append(text(x, bottom + 16, f"{share:g}", anchor="middle", kind="quiet"))
        parts.append(text(left - 6, y + 4, f"{share:g}", anchor="end", kind="quiet"))
    middle = _at(0.5, 0)
    parts.append(text(middle[0], middle[1] + 30, "confidence", anchor="middle", kind="quiet"))
    parts.append(text(_at(0, 1)[0], _at(0, 1)[1] - 10, "accuracy", kind="quiet"))
    for of in bins:
        x, y = _at(of.confidence or 0.0, of.num_correct / of.num_notes)
        if ends := (of.intervals or {}).get("accuracy"):
            parts.append(line(x, _at(0, ends[0])[1], x, _at(0, ends[1])[1], "whisker"))
        parts.append(dot(x, y))
    return Markup("").join([*parts, Markup("</svg>")])


def _at(confidence: float, accuracy: float) -> tuple[float, float]:
    return _MARGIN + confidence * _SIDE, _MARGIN + (1 - accuracy) * _SIDE
