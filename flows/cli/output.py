"""What a command prints: tables and a last line for people, one JSON object for scripts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.evaluate.spread import Spread
from pipelines.terminal import cell
from pipelines.text import visible


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
    console = Console(highlight=False)
    for table in tables:
        console.print(table)
    for line in (*lines, *filter(None, [last_line])):
        typer.echo(visible(line))


def pairs_table(title: str, rows: Iterable[tuple[str, Any]]) -> Table:
    """Names and values, a pair a line."""
    table = Table(title=_title(title), show_header=False, title_justify="left", box=box.SIMPLE)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(cell(name), _shown(value))
    return table


def rows_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A row a thing; numbers stand to the right."""
    rows = list(rows)
    table = Table(title=_title(title), title_justify="left", box=box.SIMPLE)
    for position, heading in enumerate(headings):
        is_number = bool(rows) and all(isinstance(row[position], int | float) for row in rows)
        table.add_column(cell(heading), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value) for value in row))
    return table


def drops_table(datasets: Mapping[str, Mapping[str, Any]]) -> Table:
    """What became of the notes of each data set."""
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
    """How each model of a run scored."""
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


def _shown(value: Any) -> Text:
    if isinstance(value, float):
        return cell(f"{value:.4f}")
    return cell(f"{value:,}" if isinstance(value, int) else str(value))


def seeds_table(seeds: Sequence[int], accuracies: Mapping[str, Spread]) -> Table:
    """The accuracy of each model by seed, with mean and standard deviation."""
    return rows_table(
        "Accuracy by seed",
        ("model", *(f"seed {seed}" for seed in seeds), "mean", "s.d."),
        [
            (name, *(f"{value:.4f}" for value in (*of.values, of.mean, of.sd or 0.0)))
            for name, of in accuracies.items()
        ],
    )
