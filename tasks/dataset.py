"""Conversion and validation of one data set as tasks, and the page of its run."""

from collections.abc import Sequence

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import task_run

from infra.engines.settings import load_engine
from pipelines import storage
from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from pipelines.decisions import Decision
from pipelines.parameters import ConversionRequest
from pipelines.report.summaries import dataset_markdown
from pipelines.text import markdown, visible
from pipelines.validate.verdicts import Validation, check_dropped, validate
from tasks.policy import POLICY
from tasks.progress import show_progress


def _conversion_name() -> str:
    return visible(f"convert {storage.name(task_run.parameters['source'])}")


def _validation_name() -> str:
    folder = storage.parent(task_run.parameters["manifest_uri"])
    return visible(f"validate the notes of data set {storage.name(folder)}")


@task(name="convert", task_run_name=_conversion_name, **POLICY)
def convert_source(source: str, *, conversion: ConversionRequest, force: bool) -> str:
    """Convert the file or files that `source` names; return the URI of the manifest."""
    with show_progress(f"convert {storage.name(source)}") as on_progress:
        manifest_uri, _ = convert(
            [source],
            root=conversion.root,
            parameters=Parameters.from_request(conversion),
            engine=load_engine(
                conversion.runner, file=conversion.engine_settings, options=conversion.beam_options
            ),
            max_quarantined=conversion.max_quarantined,
            force=force,
            on_progress=on_progress,
        )
    return manifest_uri


@task(name="validate", task_run_name=_validation_name, **POLICY)
def validate_dataset(manifest_uri: str, *, max_dropped: float, force: bool) -> Validation:
    """Judge each note; fail when more notes are dropped than `max_dropped` allows."""
    validation = validate(manifest_uri, force=force)
    create_table_artifact(
        key=f"drops-{validation.manifest_digest[:12]}",
        table=drop_rows(validation),
        description=markdown(f"Notes of {manifest_uri} by verdict. {validation.official}"),
    )
    check_dropped(validation, max_dropped=max_dropped)
    return validation


def drop_rows(validation: Validation) -> list[dict[str, str | int]]:
    """Return one row per reason, then the totals; together they account for each note."""
    rows = [
        *validation.dropped.items(),
        ("kept", validation.num_kept),
        ("seen", validation.num_seen),
        ("quarantined before, no note", validation.num_quarantined),
    ]
    return [{"verdict": verdict, "notes": num} for verdict, num in rows]


@task(name="summarise-dataset", task_run_name="summarise the data set", **POLICY)
def summarise_dataset(validation: Validation, decisions: Sequence[Decision]) -> None:
    """Show what a data set holds, what was done for it, and why."""
    create_markdown_artifact(
        key="data-set",
        markdown=dataset_markdown(validation, decisions),
        description="Content of the data set, and why each stage ran or was reused.",
    )
