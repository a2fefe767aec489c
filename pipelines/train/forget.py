"""What a run has stored of a model, removed so that it is made again.

The record of the run goes first: where it is, all else of the run is.
"""

from pipelines import storage
from pipelines.registry.runs import HISTORY, RECORD, TRAINING
from pipelines.train.plan import RunPlan, training_name
from pipelines.train.resume import checkpoints_of
from pipelines.train.trained import TRAINED


def forget_model(plan: RunPlan, name: str) -> None:
    """Removes a model with its scores, so that it is trained anew. May be repeated."""
    forget_scores(plan, name)
    storage.remove(plan.model_uri(name, HISTORY))
    for training in (training_name(name, fold) for fold in plan.folds):
        # What says that the model is trained to its end goes before the model.
        for file in (TRAINING, HISTORY, "model.keras", TRAINED):
            storage.remove(plan.model_uri(training, file))
        checkpoints_of(plan, training).clear()


def forget_scores(plan: RunPlan, name: str) -> None:
    """Removes what is known of a model's answers, so that it is scored anew. May be repeated."""
    storage.remove(storage.join(plan.uri, RECORD))
    for file in ("metrics.json", "predictions.parquet"):
        storage.remove(plan.model_uri(name, file))
