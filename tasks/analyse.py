"""The analysis of features and note length as a task."""

from prefect import task

from pipelines.analysis import cost, features
from pipelines.layout import FEATURES_FILE
from pipelines.train.selection.run_plan import RunPlan
from tasks.policy import POLICY


@task(name="analyse", task_run_name="score the features of run {plan.run_id}", **POLICY)
def analyse(plan: RunPlan, *, force: bool) -> str:
    """Store which features predict the family and what a longer note costs; return the URI."""
    features.score_run_features(plan, force=force)
    cost.measure_cost(plan, force=force)
    return plan.model_uri(FEATURES_FILE)
