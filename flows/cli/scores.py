"""The metrics of a run as a command, computed again from stored predictions."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from flows.cli.options import Json, Root
from flows.cli.output import print_result, rows_table
from pipelines.registry.inventory import find_run

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, the beginning of it, or its URI.")
]

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

_SLICES: Final = {
    "source": "",
    "velocity": "velocity",
    "pitch_octave": "pitch",
    "fundamental": "fundamental",
    "family": "",
}


def evaluate(*, run: RunArgument, root: Root = "data", as_json: Json = False) -> None:
    """Compute the metrics of a run again, from the predictions that it stored.

    Intervals are of 95 % and resample instruments, then their notes; where there are fewer than 30
    notes or 5 instruments it says 'too few'.
    """
    from pipelines.evaluate.comparison import evaluate_run  # noqa: PLC0415 - as in its siblings

    models = evaluate_run(find_run(root, run))
    tables = [table for name, metrics in models.items() for table in _metrics_tables(name, metrics)]
    print_result({"models": models}, as_json=as_json, tables=tables)


def _metrics_tables(model: str, metrics: Mapping[str, Any]) -> list[Table]:
    choices = {
        "kept": metrics,
        "all": metrics["all_notes"],
        "seen instruments": metrics["seen"],
        "unseen instruments": metrics["unseen"],
    }
    columns = {name: scores for name, scores in choices.items() if scores}
    rows: list[tuple[str, ...]] = [
        (title, *(_with_interval(scores, name) for scores in columns.values()))
        for name, title in FIGURES.items()
    ]
    for key, title in (("num_scored", "notes"), ("num_instruments", "instruments")):
        rows.append((title, *(f"{scores[key]:,}" for scores in columns.values())))
    figures = rows_table(f"{model}, test notes", ("", *columns), rows)
    parts = rows_table(
        f"{model}, parts of the kept notes",
        ("part", "notes", "instruments", "accuracy"),
        [
            (
                *(f"{title} {part['name']}".strip(), part["num_notes"], part["num_instruments"]),
                _with_interval(part, "accuracy"),
            )
            for by, title in _SLICES.items()
            for part in metrics["slices"][by]
        ],
    )
    return [figures, parts]


def _with_interval(scores: Mapping[str, Any], figure: str) -> str:
    """Format a figure and its interval; a missing figure had too few notes."""
    if figure not in scores:
        return "too few"
    if ends := scores["intervals"].get(figure):
        return f"{scores[figure]:.3f} ({ends[0]:.3f} to {ends[1]:.3f})"
    return f"{scores[figure]:.3f}" + (" (too few)" if scores["too_few"] else "")
