"""Training and evaluation as one call, for who needs no scheduler between the steps."""

from collections.abc import Mapping

from pipelines import storage
from pipelines.progress import OnProgress, Progress, ignore
from pipelines.train import backend
from pipelines.train.conductor import OnEpoch
from pipelines.train.experiment import Experiment, check_datasets
from pipelines.train.gating import Gating
from pipelines.train.plan import plan_run
from pipelines.train.run import evaluate_model, finish_run, train_model
from pipelines.validate.verdicts import MAX_DROPPED, check_dropped, validate


def train_and_evaluate(
    manifests: Mapping[str, str],
    *,
    experiment: Experiment,
    root: str,
    max_dropped: float = MAX_DROPPED,
    gating: Gating = "off",
    on_progress: OnProgress = ignore,
) -> str:
    """Validates the data sets, trains each model, scores it, and closes the run.

    Args:
      manifests: of `train` and, as the protocol needs them, of `valid` and `test`.
      root: the location that holds `runs/`.
      max_dropped: share of defective notes above which no data set is used.
      gating: whether the notes of the gate are kept out of training.

    Returns:
      The URI of the run.
    """
    check_datasets(experiment.protocol, valid="valid" in manifests, test="test" in manifests)
    sides = {name: validate(manifest) for name, manifest in manifests.items()}
    for validation in sides.values():
        check_dropped(validation, max_dropped=max_dropped)
    plan = plan_run(
        train=sides["train"],
        valid=sides.get("valid"),
        test=sides.get("test"),
        experiment=experiment,
        root=root,
        backend=backend.NAME,
        gating=gating,
    )
    cache_dir = storage.cache_dir(root)
    for name in experiment.models:
        train_model(plan, name, cache_dir=cache_dir, on_epoch=epochs_as_progress(on_progress))
        evaluate_model(plan, name, cache_dir=cache_dir)
    finish_run(plan)
    return plan.uri


def epochs_as_progress(on_progress: OnProgress) -> OnEpoch:
    """What training reports after each epoch, as progress."""

    def on_epoch(model: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
        shown = ("accuracy", "val_accuracy")
        figures = [f"{key} {logs[key]:.3f}" for key in shown if key in logs]
        on_progress(Progress(f"train {model}", epoch, epochs, ", ".join(["epochs", *figures])))

    return on_epoch
