"""The report, and the page over all runs, as tasks."""

from prefect import task
from prefect.runtime import task_run

from pipelines import storage
from pipelines.report.index import build_index
from pipelines.report.reuse import current_report
from tasks.policy import POLICY


def _name() -> str:
    return f"write the report of run {storage.name(task_run.parameters['run_uri'])}"


@task(name="report", task_run_name=_name, **POLICY)
def report(run_uri: str, *, force: bool) -> str:
    """Writes the run's report, unless it shows what the run stores; returns its URI."""
    return current_report(run_uri, force=force)


@task(name="index", task_run_name="list all runs under {root}", **POLICY)
def refresh_index(root: str) -> str:
    """Writes the page over all runs under the root; returns its URI."""
    return build_index(root)
