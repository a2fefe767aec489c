"""Planning, training, evaluation and analysis as tasks; a plan and URIs pass between them."""

import multiprocessing
import os
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.connection import wait

from prefect import task
from prefect.runtime import task_run

from pipelines import decisions, storage
from pipelines.analysis import baselines, cost, features
from pipelines.decisions import Decision
from pipelines.experiment import Experiment
from pipelines.layout import FEATURES_FILE
from pipelines.train import run
from pipelines.train.artifacts import discard_model, discard_scores
from pipelines.train.model import backend
from pipelines.train.run import epochs_as_progress
from pipelines.train.selection.holdout import HoldoutMode
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import Validation
from tasks.policy import POLICY
from tasks.progress import show_progress


@task(name="plan-training", task_run_name="find the run of these data and parameters", **POLICY)
def plan_training(
    validations: Mapping[str, Validation],
    *,
    experiment: Experiment,
    root: str,
    holdout_mode: HoldoutMode,
) -> RunPlan:
    """Name the run by its inputs, and find the training notes that the test data hold as well.

    Args:
      validations: of `train` and, as the protocol needs them, of `valid` and `test`.
      holdout_mode: whether the held-out notes are kept out of training.
    """
    return plan_run(
        train=validations["train"],
        valid=validations.get("valid"),
        test=validations.get("test"),
        experiment=experiment,
        root=root,
        backend=backend.NAME,
        holdout_mode=holdout_mode,
    )


@task(name="train", task_run_name="train {model} for {plan.experiment.epochs} epochs", **POLICY)
def train_model(
    plan: RunPlan, model: str, *, root: str, force: bool, gpu: str | None = None
) -> Sequence[Decision]:
    """Train one model, unless the run has it already.

    Args:
      gpu: the only one that this process may use; it must not have used any yet.

    Returns:
      The decisions made, since a caller in another process does not share this one's collector.
    """
    end_with_parent()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    if force and _is_first_attempt():
        discard_model(plan, model)
    with (
        decisions.collect_decisions() as collected,
        show_progress(f"train {model} {plan.run_id}") as on_progress,
    ):
        run.train_model(
            plan,
            model,
            cache_dir=storage.cache_dir(root),
            on_epoch=epochs_as_progress(on_progress),
        )
    return collected


@task(name="evaluate", task_run_name="score {model} on the test notes", **POLICY)
def evaluate(plan: RunPlan, model: str, *, root: str, force: bool) -> run.Metrics:
    """Score one trained model on the test notes."""
    if force and _is_first_attempt():
        discard_scores(plan, model)
    return run.evaluate_model(plan, model, cache_dir=storage.cache_dir(root))


@task(name="close-run", task_run_name="record run {plan.run_id} as complete", **POLICY)
def finish(plan: RunPlan) -> str:
    """Write the record that completes the run; return the run's URI."""
    run.finish_run(plan)
    return plan.uri


@task(name="analyse", task_run_name="score the features of run {plan.run_id}", **POLICY)
def analyse(plan: RunPlan, *, force: bool) -> str:
    """Store how well features and baselines predict the family, and what longer notes cost."""
    features.score_run_features(plan, force=force)
    baselines.score_baselines(plan, force=force)
    cost.measure_cost(plan, force=force)
    return plan.model_uri(FEATURES_FILE)


@cache
def end_with_parent() -> None:
    """End this process when its parent has ended; do nothing in a process without one.

    The processes of a pool would wait for work permanently after their parent was killed.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    # Training is safe to leave at any moment.
    os._exit(1)


def _is_first_attempt() -> bool:
    # A retry goes on with the results that the attempt before it stored.
    return bool(task_run.run_count <= 1)
