"""Numbers as readers see them: counts, scores, intervals, probabilities, durations, shapes."""

from collections.abc import Iterable, Sequence
from typing import Final

from pipelines.evaluate.scores import Scores
from pipelines.text import visible

# Shown where there is no value.
NOTHING: Final = "\N{EN DASH}"

# Characters of a name that a page shows; NSynth's have some 35.
MAX_NAME: Final = 120


def count(number: float) -> str:
    """Format a whole number with thousands separated."""
    return f"{number:,.0f}"


def plural(number: int, noun: str) -> str:
    """Format a count with its noun."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def between(numbers: Iterable[float]) -> str:
    """Format the smallest and the largest of some counts, or the one that all are."""
    found = list(numbers)
    low, high = min(found), max(found)
    return count(low) if low == high else f"{count(low)} to {count(high)}"


def score(number: float) -> str:
    """Format an accuracy with the four decimals of the published ones."""
    return f"{number:.4f}"


def figure(scores: Scores | None, name: str) -> str:
    """Format a figure of some notes, by the name of its field."""
    return "no notes" if scores is None else score(getattr(scores, name))


def interval(scores: Scores | None, name: str) -> str:
    """Format the 95 % interval of a figure, or say that there are too few notes for one."""
    if scores is None:
        return NOTHING
    return "too few" if scores.too_few else span(scores.intervals.get(name), "{:.4f}")


def figure_with_interval(scores: Scores | None, name: str) -> str:
    """Format a figure with its interval in brackets, where it has one."""
    words, ends = figure(scores, name), interval(scores, name)
    return words if ends == NOTHING else f"{words} ({ends})"


def span(ends: Sequence[float] | None, form: str) -> str:
    """Format an interval whose ends have the form of a format string."""
    return f"{form.format(ends[0])} to {form.format(ends[1])}" if ends else NOTHING


def change(number: float) -> str:
    """Format a difference of two accuracies in percentage points."""
    return f"{100 * number:+.1f} points"


def points(ends: tuple[float, float] | None) -> str:
    """Format the interval of such a difference."""
    return NOTHING if ends is None else f"{100 * ends[0]:+.1f} to {100 * ends[1]:+.1f}"


def factor(number: float) -> str:
    """Format a ratio."""
    return f"\N{MULTIPLICATION SIGN} {number:.2f}"


def probability(number: float) -> str:
    """Format a probability with three decimals; only 0 and 1 themselves are shown as certain."""
    if 0 < number < 0.001:
        return "< 0.001"
    if 0.999 < number < 1:
        return "> 0.999"
    return f"{number:.3f}"


def share(number: int, total: int) -> str:
    """Format a share in whole percent; some are never shown as none or all."""
    percent = 100 * number / total
    if 0 < percent <= 0.5:
        return "< 1"
    if 99.5 <= percent < 100:
        return "> 99"
    return f"{percent:.0f}"


def duration(seconds: float) -> str:
    """Format seconds in the two largest units that are not zero."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def shape(sizes: Sequence[int]) -> str:
    """Format an output shape without the batch."""
    return " \N{MULTIPLICATION SIGN} ".join(count(size) for size in sizes)


def shown(text: str) -> str:
    """Return a name out of a record with its invisible characters escaped, cut at 120."""
    cut = text[:MAX_NAME]
    return f"{visible(cut)}\N{HORIZONTAL ELLIPSIS}" if len(text) > len(cut) else visible(cut)


def plain(value: object) -> str:
    """Format a parameter's value; a list as its elements."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
