"""The main job: two data sets, both models, evaluation, report."""

from dataclasses import dataclass
from typing import Literal

from prefect import flow
from prefect.runtime import flow_run

from flows.dataset import build_dataset
from pipelines import storage
from pipelines.convert.commit import MAX_QUARANTINED
from pipelines.train.experiment import MODEL_NAMES, Experiment
from pipelines.validate.verdicts import MAX_DROPPED
from tasks.report import report
from tasks.train import evaluate, finish, plan_training, train_model

ModelName = Literal["preliminary", "optimised"]


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
    train: str,
    test: str,
    root: str = "data",
    models: list[ModelName] = list(MODEL_NAMES),  # noqa: B006 - never changed; the form shows it
    epochs: int = 10,
    batch_size: int = 32,
    validation_fraction: float = 0.33,
    seed: int = 0,
    runner: str = "local",
    max_quarantined: float = MAX_QUARANTINED,
    max_dropped: float = MAX_DROPPED,
    force: bool = False,
) -> Retrained:
    """Trains and tests the models; does only what is not there yet.

    Args:
      train: TFRecord file whose notes train and choose the models.
      test: TFRecord file whose notes score them.
      root: folder or URI (s3://bucket/prefix) that data sets, runs and reports go to.
      models: which of the two architectures.
      epochs: passes over the training notes.
      batch_size: notes a training step.
      validation_fraction: share of the training notes kept for validation, by family.
      seed: of weights, split and order.
      runner: engine of the conversion.
      max_quarantined: share of damaged records above which a conversion fails, 0 to 1.
      max_dropped: share of defective notes above which a validation fails, 0 to 1.
      force: convert again what is there.
    """
    experiment = Experiment(
        models=tuple(models),
        epochs=epochs,
        batch_size=batch_size,
        validation_fraction=validation_fraction,
        seed=seed,
    )
    validations = [
        build_dataset(
            source=source,
            root=root,
            runner=runner,
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
        train_model(plan, model, root=root)
        evaluate(plan, model, root=root)
    run_uri = finish(plan)
    return Retrained(plan.run_id, run_uri, report(run_uri))
