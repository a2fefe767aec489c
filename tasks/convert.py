"""Conversion as a task."""

from collections.abc import Sequence

from prefect import task
from prefect.runtime import task_run

from infra.engines.settings import load_engine
from pipelines import storage
from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from pipelines.text import visible
from tasks.policy import POLICY
from tasks.progress import shown


def _name() -> str:
    return visible(f"convert {storage.name(task_run.parameters['source'])}")


@task(name="convert", task_run_name=_name, **POLICY)
def convert_source(
    source: str,
    *,
    root: str,
    runner: str,
    beam_options: Sequence[str] = (),
    engine_settings: str | None = None,
    range_bytes: int,
    max_quarantined: float,
    force: bool,
) -> str:
    """Converts the file or files that `source` names; returns the URI of the manifest."""
    with shown(f"convert {storage.name(source)}") as on_progress:
        manifest_uri, _ = convert(
            [source],
            root=root,
            parameters=Parameters(range_bytes=range_bytes),
            engine=load_engine(runner, file=engine_settings, options=beam_options),
            max_quarantined=max_quarantined,
            force=force,
            on_progress=on_progress,
        )
    return manifest_uri
