"""The stages as commands, each alone, and the main job through the Prefect flow."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from flows.cli.options import (
    ALL_MODELS,
    BatchSize,
    Dropped,
    Epochs,
    Force,
    ForceStages,
    Fraction,
    Json,
    Models,
    Quarantined,
    Root,
    Runner,
    RunnerOption,
    Seed,
    experiment_of,
)
from flows.cli.output import drops_table, models_table, pairs_table, print_result
from flows.parameters import MIB
from pipelines import storage
from pipelines.convert.commit import MAX_QUARANTINED
from pipelines.convert.estimate import estimate
from pipelines.convert.plan import RANGE_BYTES, Parameters, Plan, plan
from pipelines.terminal import bars
from pipelines.validate.verdicts import MAX_DROPPED, Validation


def convert(
    *,
    source: Annotated[
        list[str],
        typer.Argument(
            help="NSynth's TFRecord files (also .gz, .tar), or a folder, .tar or .tar.gz of its "
            "examples.json and wav files: paths or URIs; * is allowed."
        ),
    ],
    root: Root = "data",
    runner: RunnerOption = Runner.local,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Ranges converted at a time.", show_default="all CPUs")
    ] = None,
    range_mib: Annotated[
        int, typer.Option(min=1, help="Mebibytes of source that one shard covers.")
    ] = RANGE_BYTES // MIB,
    max_quarantined: Quarantined = MAX_QUARANTINED,
    force: Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the plan: ranges, bytes, size, time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Convert NSynth's files to resampled Parquet shards.

    Running it again converts only what is missing. Damaged records are set aside and listed; they
    never stop the job, unless there are more of them than --max-quarantined allows.
    """
    parameters = Parameters(range_bytes=range_mib * MIB)
    if dry_run:
        _print_plan(plan(source, root=root, parameters=parameters), as_json=as_json)
        return
    from pipelines.convert.job import convert as run  # noqa: PLC0415 - importing Beam costs seconds

    with bars() as on_progress:
        manifest_uri, manifest = run(
            source,
            root=root,
            parameters=parameters,
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
    tables = [pairs_table("Converted", rows)]
    print_result(result, as_json=as_json, tables=tables, last_line=manifest_uri)


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
    tables = [drops_table({"notes": result})]
    print_result(result, as_json=as_json, tables=tables, last_line=validation.official)
    check_dropped(validation, max_dropped=max_dropped)


def train(
    *,
    manifest: Annotated[str, typer.Argument(help="The manifest.json of the training notes.")],
    test: Annotated[str, typer.Option(help="The manifest.json of the test notes.")],
    root: Root = "data",
    models: Models = ALL_MODELS,
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
    experiment = experiment_of(
        models,
        epochs=epochs,
        batch_size=batch_size,
        validation_fraction=validation_fraction,
        seed=seed,
    )
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
    print_result(result, as_json=as_json, tables=_run_tables(result), last_line=run_uri)


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
    print_result({"report": report_uri}, as_json=as_json, tables=[], last_line=report_uri)


def retrain(
    *,
    train: Annotated[str, typer.Option(help="File or folder whose notes train the models.")],
    test: Annotated[str, typer.Option(help="File or folder whose notes score them.")],
    root: Root = "data",
    models: Models = ALL_MODELS,
    epochs: Epochs = 10,
    batch_size: BatchSize = 32,
    validation_fraction: Fraction = 0.33,
    seed: Seed = 0,
    runner: RunnerOption = Runner.local,
    max_quarantined: Quarantined = MAX_QUARANTINED,
    max_dropped: Dropped = MAX_DROPPED,
    force: ForceStages = [],  # noqa: B006 - never changed
    as_json: Json = False,
) -> None:
    """Do the main job: convert, validate, train, evaluate, report.

    It is a Prefect flow, the same as the deployment's. Without a Prefect server (PREFECT_API_URL) a
    temporary one is used. Running it again does only what is missing. The last line is the report.
    """
    experiment_of(
        models,
        epochs=epochs,
        batch_size=batch_size,
        validation_fraction=validation_fraction,
        seed=seed,
    )
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
        force=[stage.value for stage in force],
    )
    result = _run_summary(done.run_uri) | {"report": done.report_uri}
    tables = _run_tables(result)
    print_result(result, as_json=as_json, tables=tables, last_line=done.report_uri)


def _print_plan(planned: Plan, *, as_json: bool) -> None:
    expected = estimate(planned)
    free = storage.free_bytes(planned.folder)
    result = {
        "dataset_id": planned.dataset_id,
        "manifest": planned.manifest_uri,
        "num_ranges": expected.num_ranges,
        "source_bytes": expected.source_bytes,
        "expected_stored_bytes": expected.stored_bytes,
        "expected_seconds_one_worker": None
        if expected.seconds is None
        else round(expected.seconds, 1),
        "free_bytes": free,
    }
    rows = [(key.removeprefix("num_").replace("_", " "), value) for key, value in result.items()]
    tables = [pairs_table("Plan; nothing is written", rows)]
    print_result(result, as_json=as_json, tables=tables)


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


def _run_tables(result: dict[str, Any]) -> list[Table]:
    return [drops_table(result["datasets"]), models_table(result["run_id"], result["models"])]
