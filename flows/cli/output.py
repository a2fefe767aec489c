"""Output of the commands: tables and a last line for people, one JSON object for scripts."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.evaluate.spread import Spread
from pipelines.parameters import MIB
from pipelines.terminal import cell
from pipelines.text import visible

# Titles of the figures of metrics.json.
FIGURES: Final = {
    "accuracy": "accuracy",
    "instrument_accuracy": "accuracy, mean of instruments",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "nll": "negative log-likelihood",
    "brier": "Brier score",
    "ece": "calibration error",
}

_BATCH_ROWS: Final = 1000
_FILE_WIDTH: Final = 10_000
# Longer words, such as URIs, may be broken in a narrow terminal.
_WORD_LENGTH: Final = 24


def print_result(
    result: Mapping[str, Any],
    *,
    as_json: bool,
    tables: Iterable[Table],
    lines: Iterable[str] = (),
    last_line: str = "",
) -> None:
    """Print a result as one JSON object, or as tables, lines and a last one.

    JSON has all text as it is, escaped by its own rules; people see it `visible`.
    """
    if as_json:
        typer.echo(json.dumps(result))
        return
    # In a file a table is as wide as its content.
    in_terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if in_terminal else _FILE_WIDTH)
    for table in tables:
        with console.capture() as capture:
            console.print(table)
        text = capture.get()
        typer.echo(text if in_terminal else _trimmed(text), nl=False)
    for line in (*lines, *filter(None, [last_line])):
        typer.echo(visible(line))


def _trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def pairs_table(title: str, rows: Iterable[tuple[str, Any]]) -> Table:
    """Return a table of names and values, one pair per line."""
    table = Table(title=_title(title), show_header=False, title_justify="left", box=box.SIMPLE)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(cell(name), cell(_text(value)))
    return table


def rows_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table with one line per row; columns of numbers are aligned to the right."""
    rows = list(rows)
    table = Table(title=_title(title), title_justify="left", box=box.SIMPLE)
    for position, heading in enumerate(headings):
        values = [row[position] for row in rows]
        is_number = bool(rows) and all(isinstance(value, int | float) for value in values)
        is_word = all(len(text) <= _WORD_LENGTH and " " not in text for text in map(_text, values))
        table.add_column(
            cell(heading),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=is_word,
        )
    for row in rows:
        table.add_row(*(cell(_text(value)) for value in row))
    return table


def mebibytes(num_bytes: int) -> str:
    """Return a size with its unit, in three digits."""
    size = num_bytes / MIB
    return f"{size:,.0f} MiB" if size >= 100 else f"{size:.1f} MiB"


def minute(time: str) -> str:
    """Return a stored time to the minute."""
    return time.replace("T", " ")[:16]


def stream_rows(headings: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Print rows as they come, in columns, however many there are; a table would hold them all.

    Returns:
      Their number.
    """
    rows, num, widths = iter(rows), 0, list[int]()
    while batch := [[_plain(row[key]) for key in headings] for row in islice(rows, _BATCH_ROWS)]:
        lines = batch
        if not widths:
            lines = [list(headings), *batch]
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        typer.echo("\n".join(_line(line, widths) for line in lines))
        num += len(batch)
    return num


def stream_json(name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object that holds rows under a name, as they come."""
    rows, separator = iter(rows), ""
    typer.echo(f"{{{json.dumps(name)}: [", nl=False)
    while batch := [json.dumps(row) for row in islice(rows, _BATCH_ROWS)]:
        typer.echo(separator + ", ".join(batch), nl=False)
        separator = ", "
    typer.echo("]}")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(map(str.ljust, cells, widths)).rstrip()


def _plain(value: Any) -> str:
    # Names of files and features may hold what a terminal would obey.
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def drops_table(datasets: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the number of notes of each data set, by verdict."""
    return rows_table(
        "Notes",
        ("data set", "seen", "kept", "quarantined", "dropped"),
        [
            (
                name,
                *(counts[key] for key in ("num_seen", "num_kept", "num_quarantined")),
                ", ".join(f"{reason} {num}" for reason, num in counts["dropped"].items()) or "none",
            )
            for name, counts in datasets.items()
        ],
    )


def models_table(run_id: str, models: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the scores of each model of a run."""
    return rows_table(
        f"Run {run_id}",
        ("model", "accuracy", "notes scored", "parameters"),
        [
            (name, scores["accuracy"], scores["num_scored"], scores["num_parameters"])
            for name, scores in models.items()
        ],
    )


def _title(title: str) -> Text:
    return cell(title, style="table.title")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def seeds_table(seeds: Sequence[int], accuracies: Mapping[str, Spread]) -> Table:
    """Return the accuracy of each model by seed, with mean and standard deviation."""
    return rows_table(
        "Accuracy by seed",
        ("model", *(f"seed {seed}" for seed in seeds), "mean", "s.d."),
        [
            (name, *(f"{value:.3f}" for value in (*spread.values, spread.mean, spread.sd or 0.0)))
            for name, spread in accuracies.items()
        ],
    )
