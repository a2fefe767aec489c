"""Conversion as a task."""

from prefect import task

from pipelines.convert.job import convert
from pipelines.terminal import bars
from tasks.policy import POLICY


@task(name="convert", task_run_name="convert {source}", **POLICY)
def convert_source(
    source: str, *, root: str, runner: str, max_quarantined: float, force: bool
) -> str:
    """Converts the file or files that `source` names; returns the URI of the manifest."""
    with bars() as on_progress:
        manifest_uri, _ = convert(
            [source],
            root=root,
            runner=runner,
            max_quarantined=max_quarantined,
            force=force,
            on_progress=on_progress,
        )
    return manifest_uri
