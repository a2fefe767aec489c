"""Predictions for recordings as a command."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.options import Json, Root
from flows.cli.output import print_result, rows_table
from pipelines import storage
from pipelines.errors import ConfigError, PipelineError
from pipelines.progress import Progress
from pipelines.terminal import bars


def predict(
    *,
    sounds: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Sound files, folders of them, or patterns with *; paths or URIs.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model to ask.", show_default="the only champion"),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Run of the model.", show_default="the champion's"),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Table to write, .csv or .parquet."),
    ] = None,
    root: Root = "data",
    as_json: Json = False,
) -> None:
    """Classify recordings by instrument family, with a champion or a model of a run.

    Any rate and any number of channels. A sound shorter than four seconds is followed by silence, a
    longer one is cut into pieces, whose mean counts. A file that cannot be read costs one sentence;
    the exit code is then 1.
    """
    if output is not None and not output.endswith((".csv", ".parquet")):
        raise typer.BadParameter(f"--output: expected a .csv or .parquet file, got {output}")
    places = list(_find(sounds))
    from pipelines.predict.classifier import load_classifier  # noqa: PLC0415 - Keras costs seconds

    classifier = load_classifier(root, model=model, run=run)
    rows, errors = list[dict[str, Any]](), list[str]()
    with bars() as on_progress:
        for done, place in enumerate(places, 1):
            try:
                rows.append(_row(place, classifier.classify_file(place)))
            except (PipelineError, OSError) as err:
                errors.append(str(err))
            on_progress(Progress("predict", done, len(places), "files"))
    if output is not None:
        _write(output, rows)
    heading = ("file", "family", "probability", "second guess", "its probability", "note")
    table = rows_table(
        classifier.name,
        heading,
        [
            (
                row["file"],
                row["family"],
                row["probability"],
                row["second"],
                row["probabilities"][row["second"]],
                row["note"],
            )
            for row in rows
        ],
    )
    result = {"model": classifier.name, "predictions": rows, "errors": errors}
    print_result(
        result, as_json=as_json, tables=[table] if rows else [], lines=[*errors], last_line=""
    )
    if errors:
        raise typer.Exit(1)


def _find(sounds: list[str]) -> Iterator[str]:
    """Yield the files that are named, those of folders and patterns in their order."""
    from pipelines.predict.sound import SUFFIXES  # noqa: PLC0415 - it imports NumPy

    for sound in sounds:
        if "*" in sound:
            files = [place for place in storage.glob(sound) if place.lower().endswith(SUFFIXES)]
        elif storage.is_folder(sound):
            names = sorted(storage.list_names(sound))
            files = [storage.join(sound, name) for name in names if name.lower().endswith(SUFFIXES)]
        else:
            files = [sound]
        if not files:
            raise ConfigError(f"{sound} has no sound file; expected {', '.join(SUFFIXES)}")
        yield from files


def _row(place: str, prediction: Any) -> dict[str, Any]:
    return {
        "file": place,
        "family": prediction.family,
        "probability": prediction.probabilities[prediction.family],
        "second": prediction.second,
        "note": prediction.done,
        "probabilities": dict(prediction.probabilities),
    }


def _write(output: str, rows: list[dict[str, Any]]) -> None:
    """Write one row per file, with one column per family."""
    import pyarrow as pa  # noqa: PLC0415 - it is not needed without a table
    from pyarrow import csv, parquet  # noqa: PLC0415 - as its sibling

    flat = [
        {key: value for key, value in row.items() if key != "probabilities"} | row["probabilities"]
        for row in rows
    ]
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(flat)
    write = csv.write_csv if Path(output).suffix == ".csv" else parquet.write_table
    write(table, buffer)
    storage.put(storage.absolute(output), buffer.getvalue())
