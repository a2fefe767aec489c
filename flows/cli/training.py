"""Training and report as commands, and the main job through the Prefect flow."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from flows.cli.interrupt import INTERRUPTS
from flows.cli.options import JobEndpoint, Json, Root, add_beam_options, with_options
from flows.cli.output import drops_table, models_table, print_result, seeds_table
from flows.cli.promotion import promotion_fields, promotions_table
from flows.server import PrefectServer
from infra.engines.settings import load_engine
from pipelines import storage
from pipelines.convert.shards.plan import Parameters, plan
from pipelines.errors import ConfigError
from pipelines.evaluate.spread import spread
from pipelines.evaluate.stored import load_metrics
from pipelines.experiment import check_datasets, experiments_of
from pipelines.parameters import RetrainRequest, TrainRequest
from pipelines.promotion.stored import load_promotions
from pipelines.registry.runs import load_run
from pipelines.terminal import bars


@with_options(TrainRequest)
def train(
    request: TrainRequest,
    *,
    manifest: Annotated[
        str, typer.Argument(metavar="MANIFEST", help="The manifest.json of the training notes.")
    ],
    test: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The manifest.json of the notes that score the models."),
    ] = None,
    valid: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="The manifest.json of the notes that choose the epoch; protocol official only.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train the models on one data set and score them on another, or out of fold.

    A model that this run has trained before is not trained again.
    """
    try:
        check_datasets(request.protocol, valid=valid is not None, test=test is not None)
    except ConfigError as err:
        raise typer.BadParameter(str(err)) from err
    root, experiments = request.root, experiments_of(request)
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
                max_dropped=request.max_dropped,
                # With several seeds each run splits as it would alone, without held-out notes.
                holdout_mode="respect" if len(experiments) == 1 else "off",
                on_progress=on_progress,
            )
            for experiment in experiments
        ]
    _print_runs([_run_summary(uri) for uri in run_uris], run_uris[-1], as_json=as_json)


def report(
    *,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's id, the beginning of it, or its URI.")
    ],
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


@with_options(RetrainRequest)
def retrain(
    request: RetrainRequest, *, job_endpoint: JobEndpoint = None, as_json: Json = False
) -> None:
    """Do the main job: convert, validate, train, evaluate, promote, report.

    It is a Prefect flow, the same as the deployment's. Without a Prefect server (PREFECT_API_URL) a
    temporary one is used. Running it again does only what is missing. The last line is the report.
    """
    options = add_beam_options(request.beam_options, job_endpoint=job_endpoint)
    load_engine(request.runner, file=request.engine_settings, options=options)
    storage.check_writable(request.root)
    for source in request.sources().values():
        # A wrong path is found here at once, not by a task after the server's start.
        plan([source], root=request.root, parameters=Parameters())
    server = PrefectServer()
    INTERRUPTS.endings.append(server.stop)
    server.start()
    # It starts meanwhile: importing Prefect and Keras costs seconds.
    from flows.retrain import retrain as run_flow  # noqa: PLC0415

    server.wait(on_loss=INTERRUPTS.fail)
    with server.recording():
        retrained = run_flow(**dict(request) | {"beam_options": options})
    results = [_run_summary(run.run_uri) | {"report": run.report_uri} for run in retrained]
    _print_runs(results, retrained[-1].report_uri, as_json=as_json)


def _print_runs(results: Sequence[dict[str, Any]], last_line: str, *, as_json: bool) -> None:
    """Print one run as it is, several with the spread of their scores."""
    if len(results) == 1:
        print_result(
            results[0], as_json=as_json, tables=_run_tables(results[0]), last_line=last_line
        )
        return
    accuracies = {
        name: spread([result["models"][name]["accuracy"] for result in results])
        for name in results[0]["models"]
    }
    summary = {name: {"mean": one.mean, "sd": one.sd} for name, one in accuracies.items()}
    seeds = [result["seed"] for result in results]
    tables = [
        *(table for result in results for table in _run_tables(result)),
        seeds_table(seeds, accuracies),
    ]
    print_result(
        {"runs": list(results), "accuracy": summary},
        as_json=as_json,
        tables=tables,
        last_line=last_line,
    )


def _run_summary(run_uri: str) -> dict[str, Any]:
    """Return the JSON output about one run."""
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
            part: {key: getattr(dataset, key) for key in keys}
            for part, dataset in record.datasets.items()
        },
        "models": models,
        "promotion": {promotion.model: promotion_fields(promotion) for promotion in promotions},
    }


def _run_tables(result: dict[str, Any]) -> list[Table]:
    tables = [drops_table(result["datasets"]), models_table(result["run_id"], result["models"])]
    promotions = result["promotion"]
    return [*tables, promotions_table(promotions)] if promotions else tables
