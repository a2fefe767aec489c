"""The analysis of a run's features as a task."""

from prefect import task

from pipelines.analysis import stage
from pipelines.analysis.stored import FEATURES_FILE
from pipelines.train.plan import RunPlan
from tasks.policy import POLICY


@task(name="analyse", task_run_name="score the features of run {plan.run_id}", **POLICY)
def analyse(plan: RunPlan, *, force: bool) -> str:
    """Stores how far each feature predicts the family, unless that is there; returns its URI."""
    stage.analyse(plan, force=force)
    return plan.model_uri(FEATURES_FILE)
