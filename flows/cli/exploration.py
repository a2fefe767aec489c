"""Studies as a command, through the Prefect flow."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table

from flows.cli.interrupt import INTERRUPTS
from flows.cli.options import JobEndpoint, Json, add_beam_options, with_options
from flows.cli.output import print_result, rows_table
from flows.server import PrefectServer
from infra.engines.settings import load_engine
from pipelines import storage
from pipelines.convert.shards.plan import Parameters, plan
from pipelines.experiment import experiments_of
from pipelines.parameters import ExploreRequest
from pipelines.text import counted

if TYPE_CHECKING:
    from pipelines.studies.results import StudyRecord


@with_options(ExploreRequest)
def explore(
    request: ExploreRequest, *, job_endpoint: JobEndpoint = None, as_json: Json = False
) -> None:
    """Run a study: trials that differ in one thing at a time, compared on one page.

    Each trial is a run of its own, scored on notes that are not test notes; with --test, the most
    accurate one is scored on the test notes, once. Running it again does only what is missing. The
    last line is the page.
    """
    options = add_beam_options(request.beam_options, job_endpoint=job_endpoint)
    load_engine(request.runner, file=request.engine_settings, options=options)
    from pipelines.studies.results import load_study  # noqa: PLC0415 - it imports SciPy
    from pipelines.studies.space import check_search, find_space  # noqa: PLC0415 - as its sibling
    from pipelines.studies.study import make_study  # noqa: PLC0415 - as its sibling

    experiment, *_ = experiments_of(request)
    if (space := find_space(request.study, num_samples=request.samples)) is not None:
        check_search(space, experiment, root=request.root)
    else:
        make_study(request.study, experiment, num_samples=request.samples)
    storage.check_writable(request.root)
    for source in filter(None, (request.train, request.test)):
        # A wrong path is found here at once, not by a task after the server's start.
        plan([source], root=request.root, parameters=Parameters())
    server = PrefectServer()
    INTERRUPTS.endings.append(server.stop)
    server.start()
    # It starts meanwhile: importing Prefect and Keras costs seconds.
    from flows.explore import explore as run_flow  # noqa: PLC0415

    server.wait(on_loss=INTERRUPTS.fail)
    with server.recording():
        explored = run_flow(**dict(request) | {"beam_options": options})
    record = load_study(explored.study_uri)
    result = asdict(record) | {"page": explored.page_uri}
    print_result(
        result,
        as_json=as_json,
        tables=[_trials_table(record)],
        lines=[*_pruned_lines(record), _candidate_line(record)],
        last_line=explored.page_uri,
    )


def _pruned_lines(record: "StudyRecord") -> list[str]:
    """Return one line where trials were pruned."""
    num = len(record.pruned)
    return [f"{counted(num, 'trial')} pruned, since others were better by then"] if num else []


def _candidate_line(record: "StudyRecord") -> str:
    chosen = record.candidate
    if chosen is None:
        return "no trial is chosen yet"
    if chosen.accuracy is None:
        return f"chosen: {chosen.trial}; not scored on test notes, since none are given (--test)"
    return f"chosen: {chosen.trial}; {chosen.accuracy:.4f} on the test notes, scored once"


def _trials_table(record: "StudyRecord") -> Table:
    """Return one row per trial."""
    return rows_table(
        f"Study {record.name}, protocol {record.protocol}",
        ("trial", "of", "accuracy", "gain, points", "parameters", "seconds an epoch", "gap"),
        [
            (
                trial.name,
                trial.base or "",
                f"{trial.accuracy:.4f}",
                "" if trial.gain is None else f"{100 * trial.gain:+.1f}",
                f"{trial.num_parameters:,}",
                f"{trial.epoch_seconds:.2f}",
                f"{100 * trial.gap:+.1f}",
            )
            for trial in record.trials
        ],
    )
