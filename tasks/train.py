"""Training and evaluation as tasks, a model each: between them travel a plan and URIs."""

from prefect import task

from pipelines import storage
from pipelines.terminal import bars
from pipelines.train import backend, run
from pipelines.train.experiment import Experiment
from pipelines.train.plan import RunPlan, plan_run
from pipelines.train.stage import epochs_as_progress
from pipelines.validate.verdicts import Validation
from tasks.policy import POLICY


@task(name="plan-training", **POLICY)
def plan_training(
    *, train: Validation, test: Validation, experiment: Experiment, root: str
) -> RunPlan:
    """Names the run by what goes into it, and finds the training notes that the test data hold."""
    return plan_run(train=train, test=test, experiment=experiment, root=root, backend=backend.NAME)


@task(name="train", task_run_name="train {model}", **POLICY)
def train_model(plan: RunPlan, model: str, *, root: str) -> None:
    """Trains one model, unless the run has it already."""
    with bars() as on_progress:
        run.train_model(
            plan,
            model,
            cache_dir=storage.cache_dir(root),
            on_epoch=epochs_as_progress(on_progress),
        )


@task(name="evaluate", task_run_name="evaluate {model}", **POLICY)
def evaluate(plan: RunPlan, model: str, *, root: str) -> run.Metrics:
    """Scores one trained model on the test notes."""
    return run.evaluate_model(plan, model, cache_dir=storage.cache_dir(root))


@task(name="close-run", **POLICY)
def finish(plan: RunPlan) -> str:
    """Writes what says that the run is complete; returns the run's URI."""
    run.finish_run(plan)
    return plan.uri
