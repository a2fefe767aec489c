"""What a run came to, as the first thing to read on its page."""

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
    """Shows accuracy, promotion, what was done and why, and what became of the notes.

    Args:
      gate: the verdict on promotion, in Markdown.
    """
    create_markdown_artifact(
        key="summary",
        markdown=summary_markdown(run_uri, decisions, report=report_link(report), gate=gate),
        description="What the run came to, and why each stage did what it did.",
    )


@task(name="summarise-dataset", task_run_name="summarise the data set", **POLICY)
def summarise_dataset(validation: Validation, decisions: Sequence[Decision]) -> None:
    """Shows what a data set holds, and what was done for it and why."""
    create_markdown_artifact(
        key="data-set",
        markdown=dataset_markdown(validation, decisions),
        description="What the data set holds, and why each stage did what it did.",
    )


def report_link(report_uri: str) -> str:
    """The report as a browser finds it, where NSYNTH_REPORTS_URL says that reports are served."""
    served = os.environ.get("NSYNTH_REPORTS_URL")
    if not served or is_secret_location(served):
        return report_uri
    return f"{served}/{quote(report_uri.lstrip('/'))}"
