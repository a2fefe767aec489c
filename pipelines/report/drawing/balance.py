"""How the kept notes of a data set divide over the families, as SVG with the page's colours."""

from collections.abc import Iterable, Mapping
from typing import Final

from markupsafe import Markup

from pipelines.report.drawing.svg import bar, opening, text

_WIDTH: Final = 420
_ROW: Final = 22
_LEFT: Final = 86
_RIGHT: Final = 90


def draw_balance(families: Mapping[str, int], *, limit: float, title: str) -> Markup:
    """Notes of each family as a share of all: a bar, and beside it their number and their share.

    Args:
      limit: the share at the right end, so that the charts of several data sets compare.
      title: which data set it is, for who does not see the chart.
    """
    total = max(sum(families.values()), 1)
    parts = [opening(_WIDTH, _ROW * len(families) + 4, f"kept notes by family, {title}")]
    for number, (family, num) in enumerate(families.items()):
        y, share = _ROW * number + 15, num / total
        parts.append(text(_LEFT - 8, y, family, anchor="end"))
        parts.append(bar(_LEFT, y - 11, share / limit * (_WIDTH - _LEFT - _RIGHT), 14))
        words = f"{num:,}, {100 * share:.1f} %"
        parts.append(text(_WIDTH - 4, y, words, anchor="end", kind="quiet"))
    return Markup("").join([*parts, Markup("</svg>")])


def largest_share(datasets: Iterable[Mapping[str, int]]) -> float:
    """The largest share that any family has of the notes of its data set."""
    shares = (max(of.values(), default=0) / max(sum(of.values()), 1) for of in datasets)
    return max(shares, default=0) or 1.0
