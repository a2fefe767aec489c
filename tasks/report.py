"""The report, the page over all runs and the log of decisions, as tasks."""

from collections.abc import Sequence

from prefect import task
from prefect.runtime import task_run

from pipelines import storage
from pipelines.decisions import Decision
from pipelines.registry.runs import append_decisions
from pipelines.report.build import current_report
from pipelines.report.runs_index import build_index
from pipelines.text import visible
from tasks.policy import POLICY


def _name() -> str:
    return visible(f"write the report of run {storage.name(task_run.parameters['run_uri'])}")


def _index_name() -> str:
    return visible(f"list all runs under {task_run.parameters['root']}")


@task(name="report", task_run_name=_name, **POLICY)
def report(run_uri: str, *, force: bool) -> str:
    """Write the run's report, unless the stored one is current; return its URI."""
    return current_report(run_uri, force=force)


@task(name="log-decisions", task_run_name="log the decisions of this run", **POLICY)
def log_run(run_uri: str, decisions: Sequence[Decision]) -> bool:
    """Append this flow run's decisions to the run's log, unless every stage was reused."""
    return append_decisions(run_uri, decisions)


@task(name="index", task_run_name=_index_name, **POLICY)
def refresh_index(root: str) -> str:
    """Write the page over all runs under the root; return its URI."""
    return build_index(root)
