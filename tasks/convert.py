"""Conversion as a task."""

from prefect import task
from prefect.runtime import task_run

from infra.engines.settings import load_engine
from pipelines import storage
from pipelines.convert.job import convert
from pipelines.convert.plan import Parameters
from pipelines.parameters import MIB, ConversionRequest
from pipelines.text import visible
from tasks.policy import POLICY
from tasks.progress import show_progress


def _name() -> str:
    return visible(f"convert {storage.name(task_run.parameters['source'])}")


@task(name="convert", task_run_name=_name, **POLICY)
def convert_source(source: str, *, conversion: ConversionRequest, force: bool) -> str:
    """Convert the file or files that `source` names; return the URI of the manifest."""
    with show_progress(f"convert {storage.name(source)}") as on_progress:
        manifest_uri, _ = convert(
            [source],
            root=conversion.root,
            parameters=Parameters(range_bytes=conversion.range_mib * MIB),
            engine=load_engine(
                conversion.runner, file=conversion.engine_settings, options=conversion.beam_options
            ),
            max_quarantined=conversion.max_quarantined,
            force=force,
            on_progress=on_progress,
        )
    return manifest_uri
