"""Training and report as commands, and the main job through the Prefect flow."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from flows.cli.interrupt import INTERRUPTS
from flows.cli.options import (
    ALL_MODELS,
    BatchSize,
    BeamOptions,
    Dropped,
    EngineSettings,
    Epochs,
    ForceStages,
    Fraction,
    JobEndpoint,
    Json,
    Margin,
    Models,
    Promote,
    Protocol,
    ProtocolOption,
    Quarantined,
    Root,
    Runner,
    RunnerOption,
    Seeds,
    TrainFraction,
    beam_options_of,
    experiments_of,
)
from flows.cli.output import drops_table, models_table, print_result, seeds_table
from flows.cli.promotion import promotion_fields, promotions_table
from flows.server import PrefectServer
from infra.engines.settings import load_engine
from pipelines import storage
from pipelines.convert.commit.commit import MAX_QUARANTINED
from pipelines.convert.shards.plan import Parameters, plan
from pipelines.evaluate.spread import spread
from pipelines.evaluate.stored import load_metrics
from pipelines.promotion.stored import load_promotions
from pipelines.registry.runs import load_run
from pipelines.terminal import bars
from pipelines.validate.verdicts import MAX_DROPPED


def train(
    *,
    manifest: Annotated[str, typer.Argument(help="The manifest.json of the training notes.")],
    test: Annotated[str | None, typer.Option(help="That of the notes to score.")] = None,
    valid: Annotated[
        str | None, typer.Option(help="That of the notes that choose the epoch; protocol official.")
    ] = None,
    root: Root = "data",
    protocol: ProtocolOption = Protocol.reference,
    models: Models = ALL_MODELS,
    epochs: Epochs = 10,
    batch_size: BatchSize = 32,
    validation_fraction: Fraction = 0.33,
    train_fraction: TrainFraction = 1.0,
    seeds: Seeds = [0],  # noqa: B006 - never changed
    max_dropped: Dropped = MAX_DROPPED,
    as_json: Json = False,
) -> None:
    """Train the models on one data set and score them on another, or out of fold.

    A model that this run has trained before is not trained again.
    """
    experiments = experiments_of(
        models,
        seeds=seeds,
        protocol=protocol,
        sources={"valid": valid, "test": test},
        epochs=epochs,
        batch_size=batch_size,
        validation_fraction=validation_fraction,
        train_fraction=train_fraction,
    )
    from pipelines.train.run import train_and_evaluate  # noqa: PLC0415 - Keras costs seconds

    storage.check_writable(root)
    named = {"train": manifest, "valid": valid, "test": test}
    manifests = {name: uri for name, uri in named.items() if uri is not None}
    with bars() as on_progress:
        run_uris = [
            train_and_evaluate(
                manifests,
                experiment=experiment,
                root=root,
                max_dropped=max_dropped,
                # Of several seeds each has the split that it has alone, in a root without a gate.
                holdout_mode="respect" if len(experiments) == 1 else "off",
                on_progress=on_progress,
            )
            for experiment in experiments
        ]
    _print_runs([_run_summary(uri) for uri in run_uris], run_uris[-1], as_json=as_json)


def report(
    *,
    run: Annotated[str, typer.Argument(help="A run's id, the beginning of it, or its URI.")],
    root: Root = "data",
    as_json: Json = False,
) -> None:
    """Write the report of a run again, from what the run stored."""
    from pipelines.registry.inventory import find_run  # noqa: PLC0415 - as in its siblings
    from pipelines.report.build import build_report  # noqa: PLC0415

    report_uri = build_report(find_run(root, run))
    print_result({"report": report_uri}, as_json=as_json, tables=[], last_line=report_uri)


def index(*, root: Root = "data", as_json: Json = False) -> None:
    """Write one page over all runs under a root, with their scores and links to their reports."""
    from pipelines.report.runs_index import build_index  # noqa: PLC0415 - as in its siblings

    storage.check_exists(root)
    uri = build_index(root)
    print_result({"index": uri}, as_json=as_json, tables=[], last_line=uri)


def retrain(
    *,
    train: Annotated[str, typer.Option(help="File or folder whose notes train the models.")],
    test: Annotated[
        str | None, typer.Option(help="File or folder whose notes score them; not with grouped.")
    ] = None,
    valid: Annotated[
        str | None, typer.Option(help="File or folder whose notes choose the epoch; official only.")
    ] = None,
    root: Root = "data",
    protocol: ProtocolOption = Protocol.reference,
    models: Models = ALL_MODELS,
    epochs: Epochs = 10,
    batch_size: BatchSize = 32,
    validation_fraction: Fraction = 0.33,
    train_fraction: TrainFraction = 1.0,
    seeds: Seeds = [0],  # noqa: B006 - never changed
    runner: RunnerOption = Runner.local,
    job_endpoint: JobEndpoint = None,
    beam_options: BeamOptions = [],  # noqa: B006 - never changed
    engine_settings: EngineSettings = None,
    max_quarantined: Quarantined = MAX_QUARANTINED,
    max_dropped: Dropped = MAX_DROPPED,
    promote: Promote = True,
    margin: Margin = 0.0,
    force: ForceStages = [],  # noqa: B006 - never changed
    as_json: Json = False,
) -> None:
    """Do the main job: convert, validate, train, evaluate, promote, report.

    It is a Prefect flow, the same as the deployment's. Without a Prefect server (PREFECT_API_URL) a
    temporary one is used. Running it again does only what is missing. The last line is the report.
    """
    experiments_of(
        models,
        seeds=seeds,
        protocol=protocol,
        sources={"valid": valid, "test": test},
        epochs=epochs,
        batch_size=batch_size,
        validation_fraction=validation_fraction,
        train_fraction=train_fraction,
    )
    told = beam_options_of(beam_options, job_endpoint=job_endpoint)
    load_engine(runner.value, file=engine_settings, options=told)
    storage.check_writable(root)
    for source in filter(None, (train, valid, test)):
        # A wrong path is found here at once, not by a task after the server's start.
        plan([source], root=root, parameters=Parameters())
    server = PrefectServer()
    INTERRUPTS.endings.append(server.stop)
    server.start()
    # It starts meanwhile: importing Prefect and Keras costs seconds.
    from flows.retrain import retrain as run  # noqa: PLC0415

    server.wait(on_loss=INTERRUPTS.fail)
    with server.recording():
        done = run(
            train=train,
            test=test,
            valid=valid,
            root=root,
            protocol=protocol.value,
            models=[model.value for model in models],
            epochs=epochs,
            batch_size=batch_size,
            validation_fraction=validation_fraction,
            train_fraction=train_fraction,
            seeds=seeds,
            runner=runner.value,
            beam_options=told,
            engine_settings=engine_settings,
            max_quarantined=max_quarantined,
            max_dropped=max_dropped,
            promote=promote,
            margin=margin,
            force=[stage.value for stage in force],
        )
    results = [_run_summary(of.run_uri) | {"report": of.report_uri} for of in done]
    _print_runs(results, done[-1].report_uri, as_json=as_json)


def _print_runs(results: Sequence[dict[str, Any]], last_line: str, *, as_json: bool) -> None:
    """Prints one run as itself, several with the spread of their scores."""
    if len(results) == 1:
        print_result(
            results[0], as_json=as_json, tables=_run_tables(results[0]), last_line=last_line
        )
        return
    accuracies = {
        name: spread([result["models"][name]["accuracy"] for result in results])
        for name in results[0]["models"]
    }
    shown = {name: {"mean": of.mean, "sd": of.sd} for name, of in accuracies.items()}
    seeds = [result["seed"] for result in results]
    tables = [
        *(table for of in results for table in _run_tables(of)),
        seeds_table(seeds, accuracies),
    ]
    print_result(
        {"runs": list(results), "accuracy": shown},
        as_json=as_json,
        tables=tables,
        last_line=last_line,
    )


def _run_summary(run_uri: str) -> dict[str, Any]:
    """What scripts read of a run."""
    record, models = load_run(run_uri), {}
    for name in record.models:
        metrics = load_metrics(storage.join(run_uri, name))
        models[name] = {key: metrics[key] for key in ("accuracy", "num_scored", "num_parameters")}
    promotions = load_promotions(run_uri, record.models)
    keys = ("num_seen", "num_kept", "num_quarantined", "dropped")
    return {
        "run_id": record.run_id,
        "protocol": record.experiment.protocol,
        "seed": record.experiment.seed,
        "datasets": {
            side: {key: getattr(of, key) for key in keys} for side, of in record.datasets.items()
        },
        "models": models,
        "promotion": {of.model: promotion_fields(of) for of in promotions},
    }


def _run_tables(result: dict[str, Any]) -> list[Table]:
    tables = [drops_table(result["datasets"]), models_table(result["run_id"], result["models"])]
    promotions = result["promotion"]
    return [*tables, promotions_table(promotions)] if promotions else tables
