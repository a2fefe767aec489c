"""The terminal: lines and progress bars, in which no text is markup or an escape sequence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich import progress
from rich.console import Console
from rich.text import Text

from pipelines.progress import OnProgress, Progress
from pipelines.text import visible, visible_lines

CONSOLE: Final = Console(stderr=True, highlight=False, soft_wrap=True)
"""Where progress and log lines go, both by one writer so that they do not overwrite each other."""


def cell(text: str, *, style: str = "") -> Text:
    """Return one line for a table or a bar, in which Rich finds neither markup nor emoji."""
    return Text(visible(text), style=style)


def lines(text: str, *, style: str = "") -> Text:
    """Return the same of text of several lines, whose line breaks are our own."""
    return Text(visible_lines(text), style=style)


@contextmanager
def bars() -> Iterator[OnProgress]:
    """Show a bar for each stage until the block ends; nothing where output goes to a file.

    Yields:
      What to call with each progress.
    """
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(compact=True),
        progress.TextColumn("{task.fields[detail]}", style="dim", markup=False),
    )
    shown: dict[str, progress.TaskID] = {}
    with progress.Progress(*columns, console=CONSOLE, disable=not CONSOLE.is_terminal) as display:

        def show(step: Progress) -> None:
            if step.stage not in shown:
                shown[step.stage] = display.add_task(visible(step.stage), total=None, detail="")
            display.update(
                shown[step.stage],
                completed=step.done,
                total=step.total,
                detail=visible(step.detail),
            )

        yield show
