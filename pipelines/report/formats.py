"""Numbers as a reader meets them: counts, scores, intervals, probabilities, durations, shapes."""

from collections.abc import Sequence
from typing import Final

from pipelines.evaluate.scores import Scores
from pipelines.text import visible

NOTHING: Final = "\N{EN DASH}"
"""Stands where there is nothing to say."""

MAX_NAME: Final = 120
"""Characters of a name that a page shows; NSynth's have some 35."""


def count(number: float) -> str:
    """A whole number with thousands apart."""
    return f"{number:,.0f}"


def score(number: float) -> str:
    """An accuracy, by the four decimals of the published ones."""
    return f"{number:.4f}"


def figure(scores: Scores | None, name: str) -> str:
    """A figure of some notes, by the name of its field."""
    return "no notes" if scores is None else score(getattr(scores, name))


def interval(scores: Scores | None, name: str) -> str:
    """The 95 % interval of a figure, or that there are too few notes or instruments for one."""
    if scores is None:
        return NOTHING
    if scores.too_few:
        return "too few"
    ends = scores.intervals.get(name)
    return f"{score(ends[0])} to {score(ends[1])}" if ends else NOTHING


def probability(number: float) -> str:
    """Three decimals; what they would round to certainty is said to be beyond them."""
    if 0 < number < 0.001:
        return "< 0.001"
    if 0.999 < number < 1:
        return "> 0.999"
    return f"{number:.3f}"


def duration(seconds: float) -> str:
    """Seconds in the two largest units that are not zero."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def shown(text: str) -> str:
    """A name out of a record: what cannot be seen is spelled out, and it ends at 120 characters."""
    cut = text[:MAX_NAME]
    seen = visible(cut)
    return f"{seen}\N{HORIZONTAL ELLIPSIS}" if len(text) > len(cut) else seen


def share(number: int, total: int) -> str:
    """What part of a total a number is, in whole percent; some are never shown as none or all."""
    percent = 100 * number / total
    if 0 < percent <= 0.5:
        return "< 1"
    if 99.5 <= percent < 100:
        return "> 99"
    return f"{percent:.0f}"


def between(ends: Sequence[float]) -> str:
    """Two counts, or one where they are equal."""
    low, high = ends
    return count(low) if low == high else f"{count(low)} to {count(high)}"


def shape(sizes: Sequence[int]) -> str:
    """An output shape without the batch."""
    return " \N{MULTIPLICATION SIGN} ".join(count(size) for size in sizes)


def plain(value: object) -> str:
    """A parameter's value; a list as its elements."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def plural(number: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def change(number: float) -> str:
    """A difference of two accuracies in points of a hundred."""
    return f"{100 * number:+.1f} points"


def points(ends: tuple[float, float] | None) -> str:
    """The interval of such a difference."""
    return NOTHING if ends is None else f"{100 * ends[0]:+.1f} to {100 * ends[1]:+.1f}"


def span(ends: Sequence[float] | None, form: str) -> str:
    """An interval whose ends have the form of a format string."""
    return f"{form.format(ends[0])} to {form.format(ends[1])}" if ends else NOTHING


def factor(number: float) -> str:
    """How many times as much."""
    return f"\N{MULTIPLICATION SIGN} {number:.2f}"
