"""Summaries as artifacts, which are the first thing to read on the page of a run."""

import os
from collections.abc import Sequence
from urllib.parse import quote

from prefect import task
from prefect.artifacts import create_markdown_artifact

from pipelines.credentials import is_secret_location
from pipelines.decisions import Decision
from pipelines.report.summaries import dataset_markdown, summary_markdown
from pipelines.validate.verdicts import Validation
from tasks.policy import POLICY


@task(name="summarise-run", task_run_name="summarise the run", **POLICY)
def summarise_run(run_uri: str, decisions: Sequence[Decision], *, report: str, gate: str) -> None:
    """Create the summary of a run: accuracy, promotion, decisions and number of notes.

    Args:
      gate: the verdict on promotion, in Markdown.
    """
    create_markdown_artifact(
        key="summary",
        markdown=summary_markdown(run_uri, decisions, report=report_link(report), gate=gate),
        description="Results of the run, and why each stage ran or was reused.",
    )


@task(name="summarise-dataset", task_run_name="summarise the data set", **POLICY)
def summarise_dataset(validation: Validation, decisions: Sequence[Decision]) -> None:
    """Create the summary of a data set: its content, and the decisions that built it."""
    create_markdown_artifact(
        key="data-set",
        markdown=dataset_markdown(validation, decisions),
        description="Content of the data set, and why each stage ran or was reused.",
    )


def report_link(report_uri: str) -> str:
    """Return the report's link if NSYNTH_REPORTS_URL names a report server, else its URI."""
    server = os.environ.get("NSYNTH_REPORTS_URL")
    if not server or is_secret_location(server):
        return report_uri
    return f"{server}/{quote(report_uri.lstrip('/'))}"
