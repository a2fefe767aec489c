"""Metrics as commands: of a run, from its stored predictions, and of anyone's predictions."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table

from flows.cli.comparison import comparison_table
from flows.cli.options import Json, Root, with_options
from flows.cli.output import FIGURES, print_result, rows_table
from pipelines import storage
from pipelines.parameters import ScoreRequest
from pipelines.registry.inventory import find_run
from pipelines.terminal import bars
from pipelines.text import counted

if TYPE_CHECKING:
    from pipelines.analysis.stored import StressSheet
    from pipelines.evaluate.predictions import Predictions

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, the beginning of it, or its URI.")
]

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


@with_options(ScoreRequest)
def score(
    request: ScoreRequest,
    *,
    predictions: Annotated[
        str | None,
        typer.Argument(
            metavar="PREDICTIONS",
            help="CSV or Parquet file with a column note_str or row, and a column label or family "
            "or one of probabilities for each family.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Score anyone's predictions, or baselines, on the notes of a run or data set.

    The figures and intervals are those of nsynth's own models. Each note needs exactly one answer;
    a file with fewer, more or other ones is refused. Figures of probabilities are left out where
    the answers are labels.
    """
    if (request.run is None) == (request.dataset is None):
        raise typer.BadParameter("name the notes to score: either --run or --dataset")
    if predictions is None and not request.baselines:
        raise typer.BadParameter("name a file of predictions, or a --baseline")
    if request.baselines and request.run is None:
        raise typer.BadParameter("a --baseline learns from the training notes of a run: name --run")
    from pipelines.evaluate.comparison import compare as compare_predictions  # noqa: PLC0415
    from pipelines.evaluate.scored_notes import model_predictions  # noqa: PLC0415
    from pipelines.evaluate.submission import score_predictions  # noqa: PLC0415

    given = _given_predictions(request, predictions)
    is_known = request.run is not None
    scores = {
        name: score_predictions(answers, knows_training=is_known) for name, answers in given.items()
    }
    others = [model_predictions(request.root, named) for named in request.against]
    comparisons = {
        f"{name}, {own}": compare_predictions(other, answers).to_dict()
        for models in others
        for name, other in models.items()
        for own, answers in given.items()
    }
    tables = [table for name, metrics in scores.items() for table in _metrics_tables(name, metrics)]
    tables += [comparison_table(name, fields) for name, fields in comparisons.items()]
    print_result({"scores": scores, "comparisons": comparisons}, as_json=as_json, tables=tables)


def stress(
    *,
    run: RunArgument,
    models: Annotated[
        list[str],
        typer.Option(
            "--model", help="Model of the run. May be repeated.", show_default="all of them"
        ),
    ] = [],  # noqa: B006 - never changed
    root: Root = "data",
    force: Annotated[
        bool, typer.Option("--force", help="Measure again although nothing changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure the models of a run on test notes that were changed in known ways.

    The notes start later, have another sign or level, get noise, or keep one part alone. The sheet
    is stored beside each model, and the run's report shows it once it is written again.
    """
    from pipelines.analysis.stress import stress_run  # noqa: PLC0415 - Keras costs seconds
    from pipelines.train.selection.run_plan import recorded_plan  # noqa: PLC0415

    plan = recorded_plan(find_run(root, run))
    with bars() as on_progress:
        sheets = stress_run(
            plan,
            models,
            cache_dir=storage.cache_dir(root),
            force=force,
            on_progress=on_progress,
        )
    result = {"run_id": plan.run_id, "models": {name: asdict(one) for name, one in sheets.items()}}
    print_result(result, as_json=as_json, tables=map(_stress_table, sheets.values()))


def _stress_table(sheet: "StressSheet") -> Table:
    rows = [("notes as they are", _span(sheet.accuracy, sheet.interval), "")]
    rows += [
        (
            point.name,
            _span(point.accuracy, point.interval),
            _span(point.difference, point.difference_interval, form="{:+.3f}"),
        )
        for point in sheet.points
    ]
    title = f"{sheet.model}, {counted(sheet.num_notes, 'kept test note')}"
    return rows_table(title, ("change", "accuracy", "difference"), rows)


def _span(value: float, ends: tuple[float, float] | None, *, form: str = "{:.3f}") -> str:
    """Format a figure with its interval, if it has one."""
    interval = f" ({form.format(ends[0])} to {form.format(ends[1])})" if ends else ""
    return form.format(value) + interval


def _given_predictions(request: ScoreRequest, file: str | None) -> dict[str, "Predictions"]:
    """Return the predictions to score by name: of the file, and of the baselines."""
    from pipelines.evaluate.scored_notes import notes_of_dataset, notes_of_run  # noqa: PLC0415
    from pipelines.evaluate.submission import match_notes, read_submission  # noqa: PLC0415

    run_uri = None if request.run is None else find_run(request.root, request.run)
    given = {}
    if file is not None:
        submission = read_submission(file)
        notes = (
            notes_of_dataset(request.dataset or "") if run_uri is None else notes_of_run(run_uri)
        )
        given[storage.name(file)] = match_notes(submission, notes)
    if request.baselines and run_uri is not None:
        from pipelines.analysis.baselines import score_baselines  # noqa: PLC0415 - scikit-learn
        from pipelines.train.selection.run_plan import recorded_plan  # noqa: PLC0415

        given |= score_baselines(recorded_plan(run_uri), request.baselines)
    return given


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
        if name in metrics
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
