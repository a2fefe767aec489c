"""The terminal: lines and progress bars, in which no text is markup or an escape sequence."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich import progress
from rich.console import Console
from rich.text import Text

from pipelines.progress import OnProgress, Progress
from pipelines.text import visible, visible_lines

# One writer for progress and log lines, so that they do not overwrite each other.
CONSOLE: Final = Console(stderr=True, highlight=False, soft_wrap=True)


def cell(text: str, *, style: str = "") -> Text:
    """Return one line for a table or a bar, in which Rich finds neither markup nor emoji."""
    return Text(visible(text), style=style)


def lines(text: str, *, style: str = "") -> Text:
    """Return text of several lines, whose line breaks are our own, without markup or emoji."""
    return Text(visible_lines(text), style=style)


@contextmanager
def bars() -> Iterator[OnProgress]:
    """Show one bar for each stage until the block ends; nothing where output goes to a file.

    Yields:
      A function to call with each progress.
    """
    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(compact=True),
        progress.TextColumn("{task.fields[detail]}", style="dim", markup=False),
    )
    tasks: dict[str, progress.TaskID] = {}
    with progress.Progress(*columns, console=CONSOLE, disable=not CONSOLE.is_terminal) as display:

        def show(step: Progress) -> None:
            if step.stage not in tasks:
                tasks[step.stage] = display.add_task(visible(step.stage), total=None, detail="")
            display.update(
                tasks[step.stage],
                completed=step.done,
                total=step.total,
                detail=visible(step.detail),
            )

        yield show
