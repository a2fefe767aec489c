"""The command `nsynth`: each stage alone, and the main job through the Prefect flow.

Exit codes: 0 done, 1 the data or the work failed, 2 wrong usage. What goes wrong is one sentence.
"""

import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.table import Table

from pipelines import storage
from pipelines.convert.commit import MAX_QUARANTINED
from pipelines.convert.plan import RANGE_BYTES, Parameters, plan
from pipelines.errors import ConfigError, PipelineError
from pipelines.terminal import CONSOLE, bars
from pipelines.train.experiment import MODEL_NAMES, Experiment
from pipelines.validate.verdicts import MAX_DROPPED, Validation

app: Final = typer.Typer(
    help="Classifies the notes of NSynth by instrument family: TFRecord files in, two trained "
    "models and a report out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_MIB: Final = 2**20


class Runner(StrEnum):
    """Engines that convert."""

    local = "local"


class Model(StrEnum):
    """The two architectures."""

    preliminary = "preliminary"
    optimised = "optimised"


Root = Annotated[
    str, typer.Option(help="Folder or URI (s3://bucket/prefix) for data sets, runs and reports.")
]
RunnerOption = Annotated[Runner, typer.Option(help="Engine of the conversion.")]
Quarantined = Annotated[
    float,
    typer.Option(min=0, max=1, help="Share of damaged records above which a conversion fails."),
]
Dropped = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="Share of defective notes above which it fails, synth_lead apart."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Convert again what is there.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")
]
Models = Annotated[
    list[Model], typer.Option("--model", help="Architecture to train; may be given twice.")
]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training notes.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Notes a training step.")]
Fraction = Annotated[
    float, typer.Option(help="Share of the training notes kept for validation, by family.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of weights, split and order.")]

_ALL_MODELS: Final = [Model(name) for name in MODEL_NAMES]


@app.command()
def convert(
    *,
    source: Annotated[
        list[str], typer.Argument(help="TFRecord files of NSynth: paths or URIs; * is allowed.")
    ],
    root: Root = "data",
    runner: RunnerOption = Runner.local,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Ranges converted at a time.", show_default="all CPUs")
    ] = None,
    range_mib: Annotated[
        int, typer.Option(min=1, help="Mebibytes of source that one shard covers.")
    ] = RANGE_BYTES // _MIB,
    max_quarantined: Quarantined = MAX_QUARANTINED,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Convert TFRecord files to resampled Parquet shards.

    Running it again converts only what is missing. Damaged records are set aside and listed; they
    never stop the job, unless there are more of them than --max-quarantined allows.
    """
    from pipelines.convert.job import convert as run  # noqa: PLC0415 - importing Beam costs seconds

    with bars() as on_progress:
        manifest_uri, manifest = run(
            source,
            root=root,
            parameters=Parameters(range_bytes=range_mib * _MIB),
            runner=runner.value,
            num_workers=workers,
            max_quarantined=max_quarantined,
            force=force,
            on_progress=on_progress,
        )
    result = {
        "dataset_id": manifest.dataset_id,
        "manifest": manifest_uri,
        "manifest_digest": manifest.manifest_digest,
        "num_notes": manifest.num_notes,
        "num_quarantined": manifest.num_quarantined,
        "num_shards": len(manifest.shards),
        "source_bytes": manifest.source_bytes,
        "record_bytes": manifest.record_bytes,
        "skipped_bytes": manifest.skipped_bytes,
    }
    rows = [(key.removeprefix("num_").replace("_", " "), value) for key, value in result.items()]
    rows += [(f"quarantined: {reason}", num) for reason, num in manifest.quarantined.items()]
    _print(result, as_json, lambda: _show_pairs("Converted", rows), manifest_uri)


@app.command()
def validate(
    *,
    manifest: Annotated[str, typer.Argument(help="The manifest.json that convert wrote.")],
    max_dropped: Dropped = MAX_DROPPED,
    as_json: Json = False,
) -> None:
    """Judge each note of a data set: kept, or left out with a reason.

    Shards stay as they are; the verdicts are stored beside them.
    """
    from pipelines.validate.verdicts import check_dropped  # noqa: PLC0415 - as in its siblings
    from pipelines.validate.verdicts import validate as run  # noqa: PLC0415

    validation = run(manifest)
    result = _counts(validation) | {"num_quarantined": validation.num_quarantined}
    _print(result, as_json, lambda: _show_drops({"notes": result}), validation.official)
    check_dropped(validation, max_dropped=max_dropped)


@app.command()
def train(
    *,
    manifest: Annotated[str, typer.Argument(help="The manifest.json of the training notes.")],
    test: Annotated[str, typer.Option(help="The manifest.json of the test notes.")],
    root: Root = "data",
    models: Models = _ALL_MODELS,
    epochs: Epochs = 10,
    batch_size: BatchSize = 32,
    validation_fraction: Fraction = 0.33,
    seed: Seed = 0,
    max_dropped: Dropped = MAX_DROPPED,
    as_json: Json = False,
) -> None:
    """Train the models on one data set and score them on another.

    A model that this run has trained before is not trained again.
    """
    experiment = _experiment(models, epochs, batch_size, validation_fraction, seed)
    from pipelines.train.stage import train_and_evaluate  # noqa: PLC0415 - Keras costs seconds

    storage.check_writable(root)
    with bars() as on_progress:
        run_uri = train_and_evaluate(
            manifest,
            test,
            experiment=experiment,
            root=root,
            max_dropped=max_dropped,
            on_progress=on_progress,
        )
    result = _run_summary(run_uri)
    _print(result, as_json, lambda: _show_run(result), run_uri)


@app.command()
def report(
    *,
    run: Annotated[str, typer.Argument(help="A run's id, the beginning of it, or its URI.")],
    root: Root = "data",
    as_json: Json = False,
) -> None:
    """Write the report of a run again, from what the run stored."""
    from pipelines.registry.runs import find_run  # noqa: PLC0415 - as in its siblings
    from pipelines.report.html import build_report  # noqa: PLC0415

    report_uri = build_report(find_run(root, run))
    _print({"report": report_uri}, as_json, lambda: None, report_uri)


@app.command()
def retrain(
    *,
    train: Annotated[str, typer.Option(help="TFRecord file whose notes train the models.")],
    test: Annotated[str, typer.Option(help="TFRecord file whose notes score them.")],
    root: Root = "data",
    models: Models = _ALL_MODELS,
    epochs: Epochs = 10,
    batch_size: BatchSize = 32,
    validation_fraction: Fraction = 0.33,
    seed: Seed = 0,
    runner: RunnerOption = Runner.local,
    max_quarantined: Quarantined = MAX_QUARANTINED,
    max_dropped: Dropped = MAX_DROPPED,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Convert, validate, train, evaluate and report: the main job, as a Prefect flow.

    Without a Prefect server (PREFECT_API_URL) a temporary one is used. Running it again does only
    what is missing. The last line is the report.
    """
    _experiment(models, epochs, batch_size, validation_fraction, seed)
    storage.check_writable(root)
    for source in (train, test):
        # A wrong path is found here at once, not by a task after the server's start.
        plan([source], root=root, parameters=Parameters())
    import flows.quiet  # noqa: F401, PLC0415 - before Prefect, which reads its settings once
    from flows.retrain import retrain as run  # noqa: PLC0415 - importing Prefect costs seconds

    done = run(
        train=train,
        test=test,
        root=root,
        models=[model.value for model in models],
        epochs=epochs,
        batch_size=batch_size,
        validation_fraction=validation_fraction,
        seed=seed,
        runner=runner.value,
        max_quarantined=max_quarantined,
        max_dropped=max_dropped,
        force=force,
    )
    result = _run_summary(done.run_uri) | {"report": done.report_uri}
    _print(result, as_json, lambda: _show_run(result), done.report_uri)


def main() -> None:
    """Runs the command; ends the process with its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[Lines()])
    logging.getLogger("pipelines").setLevel(logging.INFO)
    try:
        app()
    except PipelineError as err:
        _fail(str(err))
    except KeyboardInterrupt:
        _fail("stopped; run the same command again to go on where it stopped", code=130)
    except OSError as err:
        _fail(f"{err}; run the same command again to go on where it stopped")


class Lines(logging.Handler):
    """Log lines above the progress bars, which a handler of its own would overwrite.

    What tells of progress is left to the bars where these are shown.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is shown."""
        return not (CONSOLE.is_terminal and getattr(record, "is_progress", False))

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line."""
        CONSOLE.print(self.format(record), markup=False, style="dim")


def _fail(sentence: str, *, code: int = 1) -> None:
    typer.echo(f"nsynth: {sentence}", err=True)
    sys.exit(code)


def _experiment(
    models: list[Model], epochs: int, batch_size: int, fraction: float, seed: int
) -> Experiment:
    """The experiment of the options; a value it refuses is wrong usage."""
    try:
        return Experiment(
            models=tuple(model.value for model in models),
            epochs=epochs,
            batch_size=batch_size,
            validation_fraction=fraction,
            seed=seed,
        )
    except ConfigError as err:
        raise typer.BadParameter(str(err)) from err


def _counts(validation: Validation) -> dict[str, Any]:
    fields = asdict(validation)
    return {key: fields[key] for key in ("num_seen", "num_kept", "dropped")}


def _run_summary(run_uri: str) -> dict[str, Any]:
    """What scripts read of a run."""
    record = json.loads(storage.read(storage.join(run_uri, "run.json")))
    models = {}
    for name in record["models"]:
        metrics = json.loads(storage.read(storage.join(run_uri, name, "metrics.json")))
        models[name] = {key: metrics[key] for key in ("accuracy", "num_scored", "num_parameters")}
    return {
        "run_id": record["run_id"],
        "datasets": {
            side: {key: data[key] for key in ("num_seen", "num_kept", "num_quarantined", "dropped")}
            for side, data in record["datasets"].items()
        },
        "models": models,
    }


def _print(
    result: Mapping[str, Any], as_json: bool, show: Callable[[], None], last_line: str
) -> None:
    """Prints a result for a script or for a person, who gets tables and a last line."""
    if as_json:
        typer.echo(json.dumps(result))
        return
    show()
    if last_line:
        typer.echo(last_line)


def _show_pairs(title: str, rows: list[tuple[str, Any]]) -> None:
    table = Table(title=title, show_header=False, title_justify="left", box=box.SIMPLE)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    _stdout(table)


def _show_drops(datasets: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table(title="Notes", title_justify="left", box=box.SIMPLE)
    for heading in ("data set", "seen", "kept", "quarantined", "dropped"):
        table.add_column(heading, justify="left" if heading in ("data set", "dropped") else "right")
    for name, counts in datasets.items():
        dropped = ", ".join(f"{reason} {num}" for reason, num in counts["dropped"].items())
        table.add_row(
            name,
            *(f"{counts[key]:,}" for key in ("num_seen", "num_kept", "num_quarantined")),
            dropped or "none",
        )
    _stdout(table)


def _show_run(result: Mapping[str, Any]) -> None:
    _show_drops(result["datasets"])
    table = Table(title=f"Run {result['run_id']}", title_justify="left", box=box.SIMPLE)
    for heading in ("model", "accuracy", "notes scored", "parameters"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for name, scores in result["models"].items():
        table.add_row(
            name,
            f"{scores['accuracy']:.4f}",
            f"{scores['num_scored']:,}",
            f"{scores['num_parameters']:,}",
        )
    _stdout(table)


def _stdout(table: Table) -> None:
    from rich.console import Console  # noqa: PLC0415 - standard output as it is now

    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
