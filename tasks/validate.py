"""Validation as a task, with the table of drops as an artifact."""

from prefect import task
from prefect.artifacts import create_table_artifact

from pipelines.validate.verdicts import Validation, check_dropped, validate
from tasks.policy import POLICY


@task(name="validate", task_run_name="validate {manifest_uri}", **POLICY)
def validate_dataset(manifest_uri: str, *, max_dropped: float) -> Validation:
    """Judges each note; fails when more notes are dropped than `max_dropped` allows."""
    validation = validate(manifest_uri)
    create_table_artifact(
        key=f"drops-{validation.manifest_digest[:12]}",
        table=drop_rows(validation),
        description=f"Notes of {manifest_uri} by verdict. {validation.official}".strip(),
    )
    check_dropped(validation, max_dropped=max_dropped)
    return validation


def drop_rows(validation: Validation) -> list[dict[str, str | int]]:
    """A row a reason, then the totals; together they say where each note went."""
    rows = [
        *validation.dropped.items(),
        ("kept", validation.num_kept),
        ("seen", validation.num_seen),
        ("quarantined before, no note", validation.num_quarantined),
    ]
    return [{"verdict": verdict, "notes": num} for verdict, num in rows]
