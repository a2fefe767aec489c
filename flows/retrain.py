"""The main job: two data sets, both models, evaluation, report."""

from dataclasses import dataclass

from prefect import flow
from prefect.runtime import flow_run

from flows.dataset import build_dataset
from flows.parameters import (
    MIB,
    Count,
    Location,
    Models,
    ProperFraction,
    Runner,
    Seed,
    Share,
    Stages,
)
from pipelines import decisions, storage
from pipelines.convert.commit import MAX_QUARANTINED
from pipelines.convert.plan import RANGE_BYTES
from pipelines.train.experiment import Experiment
from pipelines.validate.verdicts import MAX_DROPPED
from tasks.report import report
from tasks.summary import summarise_run
from tasks.train import evaluate, finish, plan_training, train_model


@dataclass(frozen=True)
class Retrained:
    """What a retraining left behind."""

    run_id: str
    run_uri: str
    report_uri: str


def _run_name() -> str:
    given = flow_run.parameters
    return (
        f"retrain {' and '.join(given['models'])} for {given['epochs']} epochs "
        f"on {storage.name(given['train'])}, test on {storage.name(given['test'])}"
    )


@flow(name="retrain", flow_run_name=_run_name)
def retrain(
    *,
    train: Location,
    test: Location,
    root: Location = "data",
    models: Models = ["preliminary", "optimised"],  # noqa: B006 - never changed; the form shows it
    epochs: Count = 10,
    batch_size: Count = 32,
    validation_fraction: ProperFraction = 0.33,
    seed: Seed = 0,
    runner: Runner = "local",
    range_mib: Count = RANGE_BYTES // MIB,
    max_quarantined: Share = MAX_QUARANTINED,
    max_dropped: Share = MAX_DROPPED,
    force: Stages = [],  # noqa: B006 - as above
) -> Retrained:
    """Trains and tests the models; does only what is not there yet.

    Args:
      train: What trains and chooses the models, such as nsynth-valid.tfrecord: a TFRecord file
        (also .gz, .tar), or a folder or tar of examples.json and wav files; a path on the worker's
        machine or a URI, with * for several files.
      test: What the models are scored on, such as nsynth-test.tfrecord; named as for train.
      root: Folder or URI (s3://bucket/prefix) that data sets, runs and reports go to.
      models: Which of the two architectures.
      epochs: Passes over the training notes.
      batch_size: Notes a training step.
      validation_fraction: Share of the training notes kept for validation, by family; between 0
        and 1.
      seed: Of weights, split and order.
      runner: Engine of the conversion.
      range_mib: Mebibytes of source that one shard covers; another number makes other data sets.
      max_quarantined: Share of damaged records above which a conversion fails, 0 to 1.
      max_dropped: Share of defective notes above which a validation fails, 0 to 1; synth_lead does
        not count.
      force: Stages to do again although nothing changed.
    """
    experiment = Experiment(
        models=tuple(models),
        epochs=epochs,
        batch_size=batch_size,
        validation_fraction=validation_fraction,
        seed=seed,
    )
    with decisions.heard() as heard:
        validations = [
            build_dataset(
                source=source,
                root=root,
                runner=runner,
                range_mib=range_mib,
                max_quarantined=max_quarantined,
                max_dropped=max_dropped,
                force=force,
            )
            for source in (train, test)
        ]
        plan = plan_training(
            train=validations[0], test=validations[1], experiment=experiment, root=root
        )
        for model in experiment.models:
            train_model(plan, model, root=root, force="train" in force)
            evaluate(plan, model, root=root, force="evaluate" in force)
        run_uri = finish(plan)
        report_uri = report(run_uri, force="report" in force)
    summarise_run(run_uri, heard, report=report_uri)
    return Retrained(plan.run_id, run_uri, report_uri)
