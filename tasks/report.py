"""The report as a task, with its summary as an artifact."""

from prefect import task
from prefect.artifacts import create_markdown_artifact

from pipelines import storage
from pipelines.report.html import build_report
from pipelines.report.summary import summary_markdown
from tasks.policy import POLICY


@task(name="report", task_run_name="report on {run_uri}", **POLICY)
def report(run_uri: str) -> str:
    """Writes the run's report; returns its URI."""
    report_uri = build_report(run_uri)
    create_markdown_artifact(
        key=f"summary-{storage.name(run_uri)}",
        markdown=f"{summary_markdown(run_uri)}\n\nReport: `{report_uri}`\n",
        description="Accuracy of both models, and what each data set lost.",
    )
    return report_uri
