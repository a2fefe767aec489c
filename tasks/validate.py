"""Validation as a task, with the table of dropped notes as an artifact."""

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.runtime import task_run

from pipelines import storage
from pipelines.text import markdown, visible
from pipelines.validate.verdicts import Validation, check_dropped, validate
from tasks.policy import POLICY


def _name() -> str:
    folder = storage.parent(task_run.parameters["manifest_uri"])
    return visible(f"validate the notes of data set {storage.name(folder)}")


@task(name="validate", task_run_name=_name, **POLICY)
def validate_dataset(manifest_uri: str, *, max_dropped: float, force: bool) -> Validation:
    """Judge each note; fail if more notes are dropped than `max_dropped` allows."""
    validation = validate(manifest_uri, force=force)
    create_table_artifact(
        key=f"drops-{validation.manifest_digest[:12]}",
        table=drop_rows(validation),
        description=markdown(f"Notes of {manifest_uri} by verdict. {validation.official}"),
    )
    check_dropped(validation, max_dropped=max_dropped)
    return validation


def drop_rows(validation: Validation) -> list[dict[str, str | int]]:
    """Return one row per reason, then the totals, which together account for each note."""
    rows = [
        *validation.dropped.items(),
        ("kept", validation.num_kept),
        ("seen", validation.num_seen),
        ("quarantined before, no note", validation.num_quarantined),
    ]
    return [{"verdict": verdict, "notes": num} for verdict, num in rows]
