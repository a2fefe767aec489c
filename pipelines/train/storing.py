"""What training stores of a model, in an order by which a reader knows that all of it is there."""

import hashlib
import time
from dataclasses import asdict

from pipelines import storage
from pipelines.notes import CLASSES
from pipelines.records import to_json
from pipelines.registry.provenance import git_state, versions
from pipelines.registry.runs import HISTORY, TRAINING, TRAINING_FORMAT, TrainingRecord
from pipelines.train.backend import NAME, device
from pipelines.train.checkpoint import digest_of
from pipelines.train.fit import Trained
from pipelines.train.model_file import encode_model
from pipelines.train.plan import RunPlan
from pipelines.train.variables import weights


def store_trained(
    plan: RunPlan,
    name: str,
    trained: Trained,
    *,
    num_train: int,
    num_validation: int,
    data_seconds: float,
) -> None:
    """Stores a trained model: its file, its labels, its history, and last the record of it.

    The weights are those of the last epoch or of the best one, as the protocol has it.

    Args:
      name: of the training, see `pipelines.train.plan.training_name`.
      num_train: notes that trained.
      num_validation: notes that validated.
      data_seconds: time that it took to have them at hand.
    """
    begun = time.perf_counter()
    experiment = plan.experiment
    stored_epoch = experiment.epochs
    if experiment.keeps_best_epoch:
        trained.model.set_weights(list(trained.best.weights))
        stored_epoch = trained.best.epoch
    data = encode_model(trained.model)
    storage.put(plan.model_uri(name, "model.keras"), data)
    storage.put(plan.model_uri(name, "labels.json"), to_json(list(CLASSES)))
    storage.put(plan.model_uri(name, HISTORY), to_json(trained.history))
    storing_seconds = trained.storing_seconds + time.perf_counter() - begun
    record = TrainingRecord(
        model_sha256=hashlib.sha256(data).hexdigest(),
        weights_digest=digest_of(weights(trained.model)),
        seed=experiment.seed,
        epochs=experiment.epochs,
        stored_epoch=stored_epoch,
        best_epoch=trained.best.epoch,
        batch_size=experiment.batch_size,
        num_steps=-(-num_train // experiment.batch_size),
        num_train=num_train,
        num_validation=num_validation,
        resumed_after=trained.resumed_after,
        device=device(),
        versions=versions(NAME),
        git=git_state(),
        seconds={
            "data": round(data_seconds, 3),
            "training": round(sum(trained.history["seconds"]), 3),
            "storing": round(storing_seconds, 3),
        },
    )
    head = {"format_version": TRAINING_FORMAT}
    storage.put(plan.model_uri(name, TRAINING), to_json(head | asdict(record)))
