r"""Text that others wrote, made safe for the place that it is printed in; and lists cut short.

A name in a record, a tar or a file system may hold any character: an escape sequence that a
terminal obeys, a line break that forges a line of the log, a control of direction (U+202E) that
shows another name than the one that is there, the markup of a page. Each place has one function,
which belongs where the text is printed: stored files and JSON keep the text as it is.
"""

import logging
import re
from collections.abc import Iterable
from typing import Final

# The names that a sentence lists before it says "and N more".
NUM_LISTED: Final = 3

# The packages whose log messages are one line each.
_PACKAGES: Final = ("flows", "infra", "pipelines", "tasks")

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", "[": "&#91;"}
# An underscore between letters or digits is none of emphasis.
_MARKUP: Final = re.compile(r"[\\`*|~&<\[]|(?<![^\W_])_|_(?![^\W_])")
# A heading, a quotation, an item, a rule: only where a line begins.
_BLOCK: Final = re.compile(r"^(?=>|[#+=-]+(?:\s|$))")
_NUMBERED: Final = re.compile(r"^(\d+)(?=[.)](?:\s|$))")


def visible(text: str) -> str:
    r"""Return one line in which every character is seen, for a terminal or a log.

    Control characters, line breaks, controls of direction, spaces without width and what is not
    Unicode are escaped as in Python: `\x1b`, `\n`, `\u202e`, `\udcff`.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def visible_lines(text: str) -> str:
    """Return the same of text of several lines, whose line breaks are our own."""
    return "\n".join(map(visible, text.split("\n")))


def markdown(text: str) -> str:
    """Return one line that Markdown shows as it is and takes for nothing but text."""
    # A bracket would make a link or a picture, which a page loads; in entities since some readers
    # of Markdown know no backslash before these.
    escaped = _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), visible(text))
    escaped = " ".join(escaped.split())
    return _NUMBERED.sub(r"\1\\", _BLOCK.sub(r"\\", escaped))


def markdown_code(text: str) -> str:
    """Return a code span, in which nothing is markup, for a line that is not of a table."""
    text = visible(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def listed(names: Iterable[str], *, separator: str = ", ") -> str:
    """Return names for a sentence, however many there are: "a, b, c and 253 more"."""
    names = list(names)
    # "and 1 more" would be no shorter than the name.
    if len(names) <= NUM_LISTED + 1:
        return separator.join(names)
    return f"{separator.join(names[:NUM_LISTED])} and {len(names) - NUM_LISTED:,} more"


def guard_log() -> None:
    """Make every log line of this process safe for a terminal, whichever handler prints it."""
    logging.setLogRecordFactory(_VisibleRecord)


class _VisibleRecord(logging.LogRecord):
    """A log record whose message and traceback are `visible`.

    A filter would have to be set on each handler, and Prefect makes its own.
    """

    def getMessage(self) -> str:  # noqa: N802 - its name in `logging`
        message = super().getMessage()
        is_ours = self.name.partition(".")[0] in _PACKAGES
        return visible(message) if is_ours else visible_lines(message)

    def __setattr__(self, name: str, value: object) -> None:
        # A formatter keeps the text of the traceback here, to print it.
        if name == "exc_text" and isinstance(value, str):
            value = visible_lines(value)
        super().__setattr__(name, value)


def counted(num: int, noun: str) -> str:
    """Return a number and its noun, which is plural unless the number is one."""
    return f"{num:,} {noun}{'' if num == 1 else 's'}"
