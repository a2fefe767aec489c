"""Tables in Markdown whose cells are text and nothing else."""

from collections.abc import Iterable, Sequence


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, num_left: int | None = None
) -> str:
    """A table.

    Args:
      num_left: columns of text, which stand to the left of those of numbers; all by default.
    """
    num_left = len(head) if num_left is None else num_left
    rule = ["---" if column < num_left else "---:" for column in range(len(head))]
    return "\n".join([_row(head), _row(rule), *map(_row, rows)])


def plain(text: str) -> str:
    """Text that Markdown cannot take for markup of a page."""
    # A bracket would make a link or a picture, which a page loads.
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("[", "&#91;")
    return " ".join(text.split())


def code(text: str) -> str:
    """A block of code, in which nothing is markup."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(plain(cell).replace('|', chr(92) + '|') for cell in cells)} |"
