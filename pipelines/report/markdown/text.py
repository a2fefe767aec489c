"""Tables in Markdown whose cells are text and nothing else."""

from collections.abc import Iterable, Sequence

from pipelines.text import markdown, visible


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, num_left: int | None = None
) -> str:
    """A table.

    Args:
      num_left: columns of text, which stand to the left of those of numbers; all by default.
    """
    num_left = len(head) if num_left is None else num_left
    rule = ["---" if column < num_left else "---:" for column in range(len(head))]
    return "\n".join([_row(map(plain, head)), _row(rule), *(_row(map(plain, row)) for row in rows)])


def plain(text: str) -> str:
    """Return text that Markdown cannot take for markup of a page."""
    return markdown(text)


def code(text: str) -> str:
    """Return a block of one line of code, in which nothing is markup."""
    return f"    {visible(text)}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
