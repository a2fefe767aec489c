"""The report, the summary, the page over all runs and the log of decisions, as tasks."""

import os
from collections.abc import Sequence
from urllib.parse import quote

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import task_run

from pipelines import storage
from pipelines.credentials import is_secret_location
from pipelines.decisions import Decision
from pipelines.registry.runs import append_decisions
from pipelines.report.build import current_report
from pipelines.report.runs_index import build_index
from pipelines.report.summaries import summary_markdown
from pipelines.text import visible
from tasks.policy import POLICY


def _report_name() -> str:
    return visible(f"write the report of run {storage.name(task_run.parameters['run_uri'])}")


def _index_name() -> str:
    return visible(f"list all runs under {task_run.parameters['root']}")


@task(name="report", task_run_name=_report_name, **POLICY)
def report(run_uri: str, *, force: bool) -> str:
    """Write the run's report, unless it shows what the run stores; return its URI."""
    return current_report(run_uri, force=force)


@task(name="log-decisions", task_run_name="store the decisions of this flow run", **POLICY)
def log_run(run_uri: str, decisions: Sequence[Decision]) -> bool:
    """Append this flow run's decisions to the run's log, unless every stage was reused."""
    return append_decisions(run_uri, decisions)


@task(name="index", task_run_name=_index_name, **POLICY)
def refresh_index(root: str) -> str:
    """Write the page over all runs under the root; return its URI."""
    return build_index(root)


@task(name="summarise-run", task_run_name="summarise the run", **POLICY)
def summarise_run(run_uri: str, decisions: Sequence[Decision], *, report: str, gate: str) -> None:
    """Show accuracy, promotion, what each stage did and why, and the verdicts on the notes.

    Args:
      gate: the verdict on promotion, in Markdown.
    """
    create_markdown_artifact(
        key="summary",
        markdown=summary_markdown(run_uri, decisions, report=report_link(report), gate=gate),
        description="Results of the run, and why each stage ran or was reused.",
    )


def report_link(report_uri: str) -> str:
    """Return the report's address for a browser, if NSYNTH_REPORTS_URL says where it is served."""
    served = os.environ.get("NSYNTH_REPORTS_URL")
    if not served or is_secret_location(served):
        return report_uri
    return f"{served}/{quote(report_uri.lstrip('/'))}"
