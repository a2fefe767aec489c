"""Progress bars for people at a terminal; nothing where output goes to a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich import progress
from rich.console import Console

from pipelines.progress import OnProgress, Progress

CONSOLE: Final = Console(stderr=True, highlight=False, soft_wrap=True)
"""Where progress and log lines go, both by one writer so that they do not overwrite each other."""


@contextmanager
def bars() -> Iterator[OnProgress]:
    """Shows a bar a stage until the block ends.

    Yields:
      What to call with each progress.
    """
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=24),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(compact=True),
        progress.TextColumn("[dim]{task.fields[detail]}"),
    )
    shown: dict[str, progress.TaskID] = {}
    with progress.Progress(*columns, console=CONSOLE, disable=not CONSOLE.is_terminal) as display:

        def show(step: Progress) -> None:
            if step.stage not in shown:
                shown[step.stage] = display.add_task(step.stage, total=None, detail="")
            display.update(
                shown[step.stage],
                completed=step.done,
                total=step.total,
                detail=step.detail,
            )

        yield show
