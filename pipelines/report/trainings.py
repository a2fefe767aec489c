"""How the models of a run trained, side by side: scales that all share, and what an epoch took."""

import math
from dataclasses import dataclass
from statistics import median

from pipelines.report.results import ModelResults, RunResults

Limits = tuple[float, float]


@dataclass(frozen=True)
class Course:
    """How one model trained; with folds, over all of them.

    Attributes:
      stored_epochs: whose weights are stored, a training each.
      batch_size: notes a step; what ran.
      num_steps: of an epoch, from the fewest to the most of any fold.
      num_train: notes that trained, likewise.
      epoch_sec: seconds of an epoch: the median, the shortest and the longest.
      devices: that trained, by name, each once.
    """

    name: str
    num_epochs: int
    stored_epochs: tuple[int, ...]
    batch_size: int
    num_steps: tuple[int, int]
    num_train: tuple[int, int]
    epoch_sec: tuple[float, float, float]
    devices: tuple[str, ...]


def course(run: RunResults, model: ModelResults) -> Course:
    """The course of one model of a run."""
    trainings = run.record.models[model.name].trainings
    seconds = model.history["seconds"]
    steps = [of.num_steps for of in trainings]
    notes = [of.num_train for of in trainings]
    return Course(
        name=model.name,
        num_epochs=len(model.history["epoch"]),
        stored_epochs=tuple(of.stored_epoch for of in trainings),
        batch_size=trainings[0].batch_size,
        num_steps=(min(steps), max(steps)),
        num_train=(min(notes), max(notes)),
        epoch_sec=(median(seconds), min(seconds), max(seconds)),
        devices=tuple(dict.fromkeys(of.device for of in trainings)),
    )


def loss_limits(run: RunResults) -> Limits:
    """From 0 to a little above the highest loss of any model, so that their curves compare."""
    losses = [
        loss
        for model in run.models
        for name in ("loss", "val_loss")
        for loss in model.history[name]
        if math.isfinite(loss)
    ]
    return 0.0, 1.05 * max(losses, default=1.0) or 1.0
