"""How the kept notes of a data set divide over the families, as SVG with the page's colours."""

from collections.abc import Iterable, Mapping
from typing import Final

from markupsafe import Markup

_WIDTH: Final = 420
_ROW: Final = 22
_LEFT: Final = 86
_RIGHT: Final = 90

_OPENING: Final = Markup(
    '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="kept notes by family, {}">'
)
_BAR: Final = Markup(
    '<text class="name" x="{}" y="{}" text-anchor="end">{}</text>'
    '<rect class="bar" x="{}" y="{}" width="{:.1f}" height="14"/>'
    '<text class="quiet" x="{}" y="{}" text-anchor="end">{:,}, {:.1f} %</text>'
)


def draw_balance(families: Mapping[str, int], *, limit: float, title: str) -> Markup:
    """Notes of each family as a share of all: a bar, and beside it their number and their share.

    Args:
      limit: the share at the right end, so that the charts of several data sets compare.
      title: which data set it is, for who does not see the chart.
    """
    total = max(sum(families.values()), 1)
    parts = [_OPENING.format(_WIDTH, _ROW * len(families) + 4, title)]
    for number, (family, num) in enumerate(families.items()):
        y, share = _ROW * number + 15, num / total
        width = share / limit * (_WIDTH - _LEFT - _RIGHT)
        bar = (_LEFT, y - 11, width)
        parts.append(_BAR.format(_LEFT - 8, y, family, *bar, _WIDTH - 4, y, num, 100 * share))
    return Markup("").join([*parts, Markup("</svg>")])


def largest_share(datasets: Iterable[Mapping[str, int]]) -> float:
    """The largest share that any family has of the notes of its data set."""
    shares = (max(of.values(), default=0) / max(sum(of.values()), 1) for of in datasets)
    return max(shares, default=0) or 1.0
