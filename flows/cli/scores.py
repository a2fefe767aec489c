"""How the models of a run scored, as a command: redone from stored predictions."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from flows.cli.options import Json, Root
from flows.cli.output import print_result, rows_table
from pipelines.registry.inventory import find_run

RunArgument = Annotated[str, typer.Argument(help="A run's id, the beginning of it, or its URI.")]

FIGURES: Final = {
    "accuracy": "accuracy",
    "instrument_accuracy": "accuracy, mean of instruments",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "nll": "negative log-likelihood",
    "brier": "Brier score",
    "ece": "calibration error",
}
"""How the figures of metrics.json are called."""

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
    some = {name: of for name, of in choices.items() if of}
    rows: list[tuple[str, ...]] = [
        (shown, *(_with_interval(of, name) for of in some.values()))
        for name, shown in FIGURES.items()
    ]
    for key, shown in (("num_scored", "notes"), ("num_instruments", "instruments")):
        rows.append((shown, *(f"{of[key]:,}" for of in some.values())))
    figures = rows_table(f"{model}, test notes", ("", *some), rows)
    parts = rows_table(
        f"{model}, parts of the kept notes",
        ("part", "notes", "instruments", "accuracy"),
        [
            (
                *(f"{shown} {of['name']}".strip(), of["num_notes"], of["num_instruments"]),
                _with_interval(of, "accuracy"),
            )
            for by, shown in _SLICES.items()
            for of in metrics["slices"][by]
        ],
    )
    return [figures, parts]


def _with_interval(of: Mapping[str, Any], figure: str) -> str:
    """A figure and its interval; a figure that is not there is of too few notes."""
    if figure not in of:
        return "too few"
    if ends := of["intervals"].get(figure):
        return f"{of[figure]:.3f} ({ends[0]:.3f} to {ends[1]:.3f})"
    return f"{of[figure]:.3f}" + (" (too few)" if of["too_few"] else "")
