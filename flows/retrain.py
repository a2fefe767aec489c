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
from flows.parameters import (
    MIB,
    BeamOptions,
    Count,
    Location,
    Margin,
    Models,
    Part,
    ProperFraction,
    Protocol,
    Runner,
    Seeds,
    Share,
    Stages,
)
from pipelines import decisions, storage
from pipelines.convert.commit.commit import MAX_QUARANTINED
from pipelines.convert.shards.plan import RANGE_BYTES
from pipelines.experiment import Experiment, check_datasets
from pipelines.promotion.stored import Promotion
from pipelines.report.summaries import NOT_ASKED, SEVERAL_SEEDS, promotions_markdown
from pipelines.text import visible
from pipelines.train.devices import assign_devices, usable_gpus
from pipelines.train.selection.run_plan import RunPlan
from pipelines.validate.verdicts import MAX_DROPPED, Validation
from tasks.analyse import analyse
from tasks.promote import promote_model, tell_watchers
from tasks.report import log_run, refresh_index, report
from tasks.summary import summarise_run
from tasks.train import evaluate, finish, plan_training, train_model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retrained:
    """What a retraining left behind, of one seed.

    Attributes:
      alarms: what a watcher has to know, a sentence each.
    """

    run_id: str
    run_uri: str
    report_uri: str
    alarms: Sequence[str] = ()


def _run_name() -> str:
    given = flow_run.parameters
    tested = f"test on {storage.name(given['test'])}" if given["test"] else "score out of fold"
    return visible(
        f"retrain {' and '.join(given['models'])} for {given['epochs']} epochs "
        f"on {storage.name(given['train'])}, {tested}"
    )


# Processes train side by side where devices allow: a seed and a GPU are a whole process's.
@flow(
    name="retrain",
    flow_run_name=_run_name,
    task_runner=ProcessPoolTaskRunner(max_workers=2),  # type: ignore[arg-type] # as its docs have it
)
def retrain(
    *,
    train: Location,
    test: Location | None = None,
    valid: Location | None = None,
    root: Location = "data",
    protocol: Protocol = "reference",
    models: Models = ["preliminary", "optimised"],  # noqa: B006 - never changed; the form shows it
    epochs: Count = 10,
    batch_size: Count = 32,
    validation_fraction: ProperFraction = 0.33,
    train_fraction: Part = 1.0,
    seeds: Seeds = [0],  # noqa: B006 - as above
    runner: Runner = "local",
    beam_options: BeamOptions = [],  # noqa: B006 - as above
    engine_settings: Location | None = None,
    range_mib: Count = RANGE_BYTES // MIB,
    max_quarantined: Share = MAX_QUARANTINED,
    max_dropped: Share = MAX_DROPPED,
    promote: bool = True,
    margin: Margin = 0.0,
    force: Stages = [],  # noqa: B006 - as above
) -> list[Retrained]:
    """Trains and tests the models, and promotes them; does only what is not there yet.

    Args:
      train: What trains and chooses the models, such as nsynth-valid.tfrecord: a TFRecord file
        (also .gz, .tar), or a folder or tar of examples.json and wav files; a URI or a path on the
        worker's machine, relative to the checkout there, with * for several files.
      test: What the models are scored on, such as nsynth-test.tfrecord; named as for train. The
        protocol grouped takes none.
      valid: What chooses the epoch, in the protocol official only, such as nsynth-valid.tfrecord;
        named as for train.
      root: Folder or URI (s3://bucket/prefix) that data sets, runs and reports go to; a folder is
        one of the worker's machine, relative to the checkout there.
      protocol: reference splits train by note and scores the last epoch on test; official chooses
        the epoch with valid; grouped scores each note of train by a model that never met its
        instrument.
      models: Which of the two architectures.
      epochs: Passes over the training notes.
      batch_size: Notes a training step.
      validation_fraction: Share of the training notes kept for validation, by family; between 0
        and 1. The protocol official has notes of its own for that.
      train_fraction: Share of what is left to train on that does train, above 0; for learning
        curves.
      seeds: Of weights, split and order; a run each.
      runner: Engine of the conversion; portable is any server of Beam's job API.
      beam_options: KEY=VALUE of Beam's pipeline options, such as job_endpoint=HOST:PORT; they win
        over the engine's settings.
      engine_settings: File of the engine's settings on the worker's machine, relative to the
        checkout there, in place of infra/engines/RUNNER.toml.
      range_mib: Mebibytes of source that one shard covers; another number makes other data sets.
      max_quarantined: Share of damaged records above which a conversion fails, 0 to 1.
      max_dropped: Share of defective notes above which a validation fails, 0 to 1; synth_lead does
        not count.
      promote: Whether each model is set against the champion of its name, on notes kept for that;
        with several seeds it is not.
      margin: How much less accurate than the champion a new one may be, 0 to 1.
      force: Stages to do again although nothing changed.
    """
    check_datasets(protocol, valid=valid is not None, test=test is not None)
    experiments = [
        Experiment(
            models=tuple(models),
            epochs=epochs,
            batch_size=batch_size,
            validation_fraction=validation_fraction,
            train_fraction=train_fraction,
            seed=seed,
            protocol=protocol,
        )
        for seed in seeds
    ]
    sources = {"train": train, "valid": valid, "test": test}
    with decisions.heard() as heard:
        validations = {
            name: build_dataset(
                source=source,
                root=root,
                runner=runner,
                beam_options=beam_options,
                engine_settings=engine_settings,
                range_mib=range_mib,
                max_quarantined=max_quarantined,
                max_dropped=max_dropped,
                force=force,
            )
            for name, source in sources.items()
            if source is not None
        }
    is_judged = promote and len(experiments) == 1
    retrained = [
        _retrain(
            validations,
            experiment,
            root=root,
            margin=margin if is_judged else None,
            unjudged=SEVERAL_SEEDS if promote else NOT_ASKED,
            force=force,
            heard=heard,
        )
        for experiment in experiments
    ]
    # As a state, which raises nothing: what is wrong with that page or with another run is seen at
    # its task, and the runs of this flow are done and reported.
    listed = refresh_index(root, return_state=True)
    if not listed.is_completed():
        log.warning("the page over all runs is not refreshed: %s", listed.message)
    if alarms := [alarm for of in retrained for alarm in of.alarms]:
        # The work is done, so the run is no failure; its name and its message are seen first.
        message = "; ".join(alarms)
        return cast("list[Retrained]", Completed(data=retrained, name="Got worse", message=message))
    return retrained


def _retrain(
    validations: Mapping[str, Validation],
    experiment: Experiment,
    *,
    root: str,
    margin: float | None,
    unjudged: str,
    force: Sequence[str],
    heard: Sequence[decisions.Decision],
) -> Retrained:
    """One run of the flow, of one seed, on data sets that are there.

    Args:
      margin: of promotion; None where nothing is to be promoted.
      unjudged: why nothing is, then.
    """
    models, promotions = experiment.models, list[Promotion]()
    with decisions.heard() as own:
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
            tell_watchers(promotions)
        log_run(run_uri, [*heard, *own])
        report_uri = report(run_uri, force="report" in force)
    gate = promotions_markdown(promotions) if promotions else unjudged
    summarise_run(run_uri, [*heard, *own], report=report_uri, gate=gate)
    alarms = tuple(alarm for promotion in promotions for alarm in promotion.alarms)
    return Retrained(plan.run_id, run_uri, report_uri, alarms)


def train_side_by_side(
    plan: RunPlan, *, root: str, force: bool, places: Sequence[str | None]
) -> list[decisions.Decision]:
    """Trains each model in a process of its own, on the GPU of its place if that has one.

    Returns:
      What was decided, model by model.
    """
    # The processes inherit what is blocked: Ctrl-C in a terminal reaches them too, and it is for
    # this one to say what it means.
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
        # Their pool would wait for both trainings to the end; each goes on after its last epoch.
        for process in multiprocessing.active_children():
            process.kill()
        raise
