"""The main job: data sets, both models, evaluation, promotion, report."""

import logging
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from prefect import flow
from prefect.exceptions import TerminationSignal
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.task_runners import ProcessPoolTaskRunner

from flows.dataset import build_dataset
from flows.form import takes
from pipelines import decisions, storage
from pipelines.experiment import Experiment, experiments_of
from pipelines.parameters import BuildRequest, RetrainRequest
from pipelines.promotion.stored import Promotion
from pipelines.report.summaries import NOT_ASKED, SEVERAL_SEEDS, promotions_markdown
from pipelines.text import visible
from pipelines.train.devices import assign_devices, usable_gpus
from pipelines.train.selection.run_plan import RunPlan
from pipelines.validate.verdicts import Validation
from tasks.promote import promote_model, send_alarms
from tasks.report import log_run, refresh_index, report, summarise_run
from tasks.train import analyse, evaluate, finish, plan_training, train_model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retrained:
    """Result of a retraining with one seed.

    Attributes:
      alarms: drops in quality or in data health, one sentence each.
    """

    run_id: str
    run_uri: str
    report_uri: str
    alarms: Sequence[str] = ()


def _run_name() -> str:
    values = flow_run.parameters
    tested = f"test on {storage.name(values['test'])}" if values["test"] else "score out of fold"
    return visible(
        f"retrain {' and '.join(values['models'])} for {values['epochs']} epochs "
        f"on {storage.name(values['train'])}, {tested}"
    )


# Models train side by side where devices allow, in processes, since a seed and a GPU belong to a
# whole process.
@flow(
    name="retrain",
    flow_run_name=_run_name,
    task_runner=ProcessPoolTaskRunner(max_workers=2),  # type: ignore[arg-type] # as in its docs
)
@takes(RetrainRequest)
def retrain(request: RetrainRequest) -> list[Retrained]:
    """Train and test the models, and promote them; do only what is not stored yet."""
    experiments = experiments_of(request)
    with decisions.collect_decisions() as dataset_decisions:
        validations = {
            name: build_dataset(**dict(BuildRequest.part_of(request, source=source)))
            for name, source in request.sources().items()
        }
    is_promoting = request.promote and len(experiments) == 1
    retrained = [
        _retrain(
            validations,
            experiment,
            root=request.root,
            margin=request.margin if is_promoting else None,
            no_promotion=SEVERAL_SEEDS if request.promote else NOT_ASKED,
            force=request.force,
            dataset_decisions=dataset_decisions,
        )
        for experiment in experiments
    ]
    # The state is returned, so that a failure raises nothing: the runs are done and reported
    # without this page, and the failed task shows what is wrong.
    index_state = refresh_index(request.root, return_state=True)
    if not index_state.is_completed():
        log.warning("the page over all runs is not refreshed: %s", index_state.message)
    if alarms := [alarm for result in retrained for alarm in result.alarms]:
        # The work is done, so the flow run does not fail; its state's name and message say more.
        message = "; ".join(alarms)
        return cast("list[Retrained]", Completed(data=retrained, name="Got worse", message=message))
    return retrained


def _retrain(
    validations: Mapping[str, Validation],
    experiment: Experiment,
    *,
    root: str,
    margin: float | None,
    no_promotion: str,
    force: Sequence[str],
    dataset_decisions: Sequence[decisions.Decision],
) -> Retrained:
    """Do one run, with one seed, on data sets that are built.

    Args:
      margin: of promotion; None to promote nothing.
      no_promotion: reason for that, in Markdown.
      dataset_decisions: decisions on the data sets, which the log of the run repeats.
    """
    models, promotions = experiment.models, list[Promotion]()
    with decisions.collect_decisions() as own:
        plan = plan_training(
            validations,
            experiment=experiment,
            root=root,
            holdout_mode="off" if margin is None else "freeze",
        )
        places = assign_devices(len(models), gpus=usable_gpus(), num_cpus=os.cpu_count() or 1)
        if len(places) > 1:
            own.extend(train_side_by_side(plan, root=root, force="train" in force, places=places))
        for model in models:
            if len(places) == 1:
                train_model(plan, model, root=root, force="train" in force)
            evaluate(plan, model, root=root, force="evaluate" in force)
        run_uri = finish(plan)
        analyse(plan, force="analyse" in force)
        if margin is not None:
            promotions = [
                promote_model(run_uri, model, root=root, margin=margin) for model in models
            ]
            send_alarms(promotions)
        log_run(run_uri, [*dataset_decisions, *own])
        report_uri = report(run_uri, force="report" in force)
    gate = promotions_markdown(promotions) if promotions else no_promotion
    summarise_run(run_uri, [*dataset_decisions, *own], report=report_uri, gate=gate)
    alarms = tuple(alarm for promotion in promotions for alarm in promotion.alarms)
    return Retrained(plan.run_id, run_uri, report_uri, alarms)


def train_side_by_side(
    plan: RunPlan, *, root: str, force: bool, places: Sequence[str | None]
) -> list[decisions.Decision]:
    """Train each model in a process of its own, on the GPU of its place if that has one.

    Returns:
      The decisions made, model by model.
    """
    # The processes inherit the blocked signal: Ctrl-C in a terminal reaches them too, but only this
    # process decides how to stop.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        futures = [
            train_model.submit(plan, model, root=root, force=force, gpu=gpu)
            for model, gpu in zip(plan.experiment.models, places, strict=True)
        ]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    try:
        return [decision for future in futures for decision in future.result()]
    except (KeyboardInterrupt, TerminationSignal):
        # The pool would wait for the end of both trainings. A killed one resumes later.
        for process in multiprocessing.active_children():
            process.kill()
        raise
