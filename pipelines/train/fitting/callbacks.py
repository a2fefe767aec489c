"""Callbacks of a training: order and results of each epoch, the best weights, and checkpoints."""

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipelines.errors import DatasetError
from pipelines.experiment import Experiment
from pipelines.registry.runs import HISTORY_COLUMNS, History
from pipelines.train.fitting.checkpoints import (
    Arrays,
    Checkpoint,
    Checkpoints,
    assign_variables,
    read_variables,
    read_weights,
)
from pipelines.train.model.backend import keras
from pipelines.train.samples.batches import Batches

# Called after each epoch with the model, the epoch from 1, the number of epochs and the metrics.
OnEpoch = Callable[[str, int, int, Mapping[str, float]], None]

Callback: Final[Any] = keras.callbacks.Callback

_AFTER_BATCHES: Final = sys.maxsize

log = logging.getLogger(__name__)


def ignore_epoch(model: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
    """Do nothing; an `OnEpoch`."""


class EpochCallback(Callback):
    """Set the order of each epoch, record its metrics, and stop when the loss is not finite.

    Attributes:
      history: metrics of the epochs that ended.
    """

    # The check of a batch's loss may run beside the next batch, so that a GPU does not wait.
    async_safe = True

    def __init__(
        self,
        name: str,
        experiment: Experiment,
        batches: Batches,
        *,
        num_notes: int,
        on_epoch: OnEpoch = ignore_epoch,
    ) -> None:
        super().__init__()
        self.history: History = {column: [] for column in HISTORY_COLUMNS}
        self._name = name
        self._experiment = experiment
        self._learning_rate = experiment.architecture(name).fitting.learning_rate
        self._batches = batches
        self._num_batches = -(-num_notes // experiment.batch_size)
        self._on_epoch = on_epoch
        self._epoch = 0
        self._num_steps = 0
        self._begun = 0.0
        # The earliest batch at which something was not finite, with the reason.
        self._failure: tuple[int, str] | None = None

    @property
    def has_failed(self) -> bool:
        """Return whether anything was not finite at any step."""
        return self._failure is not None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Arrange the notes for the epoch."""
        self._epoch = epoch + 1
        self._num_steps = 0
        self._batches.start_epoch(epoch)
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Count the batch and check the mean loss so far."""
        # Calls may come out of order, where they run beside the training.
        self._num_steps = max(self._num_steps, batch + 1)
        step = f"epoch {self._epoch}, batch {batch + 1}"
        self._check_loss((logs or {}).get("loss", 0.0), step, batch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Record and report the metrics of an epoch, unless something is not finite."""
        metrics = {key: float(value) for key, value in (logs or {}).items()}
        self._check_loss(metrics["val_loss"], f"the validation of epoch {self._epoch}")
        self._check_weights()
        if self.has_failed:
            return
        self._check_steps()
        metrics |= {"epoch": epoch + 1, "seconds": time.perf_counter() - self._begun}
        for column in HISTORY_COLUMNS:
            self.history[column].append(metrics[column])
        log.info(
            "%s epoch %d/%d: loss %.4f, accuracy %.4f, val_loss %.4f, val_accuracy %.4f, %.1f s",
            *(self._name, epoch + 1, self._experiment.epochs),
            *(metrics[column] for column in HISTORY_COLUMNS[1:]),
            extra={"is_progress": True},
        )
        self._on_epoch(self._name, epoch + 1, self._experiment.epochs, metrics)

    def check_finite(self) -> None:
        """Raise if anything was not finite at any step.

        Raises:
          DatasetError: see above.
        """
        if self._failure:
            raise DatasetError(
                f"{self._failure[1]}, with a learning rate of {self._learning_rate}; "
                "look for notes with samples far outside [-1, 1], or choose a lower "
                "--learning-rate"
            )

    def _check_loss(self, loss: float, where: str, batch: int = _AFTER_BATCHES) -> None:
        if not math.isfinite(loss):
            self._stop(f"the loss of {self._name} became {loss} in {where}", batch)

    def _check_weights(self) -> None:
        # Compiled by XLA, a softmax of NaN has been seen to give 0.1 for each of the ten classes,
        # and so a loss that looks valid.
        for variable in self.model.trainable_variables:
            if not bool(keras.ops.all(keras.ops.isfinite(variable))):
                self._stop(f"{variable.path} is not finite after epoch {self._epoch}")

    def _stop(self, reason: str, batch: int = _AFTER_BATCHES) -> None:
        if self._failure is None or batch < self._failure[0]:
            self._failure = (batch, reason)
        self.model.stop_training = True

    def _check_steps(self) -> None:
        if self._num_steps != self._num_batches:
            raise DatasetError(
                f"epoch {self._epoch} of {self._name} had {self._num_steps} batches, expected "
                f"{self._num_batches} of {self._experiment.batch_size} notes; this is a defect"
            )


class CheckpointCallback(Callback):
    """Go on from the newest checkpoint, keep the best weights, and store a checkpoint per epoch.

    Args:
      model: compiled; takes the state of the newest checkpoint.
      checkpoints: None to store none.
      epochs: runs before this one and adds an epoch to its history first; its history takes the
        epochs of the checkpoint.

    Attributes:
      best: weights of the epoch of the lowest validation loss; None before the first epoch ends.
      resumed_after: last epoch of the checkpoint; 0 where there was none.
      seconds: time that storing took.
    """

    def __init__(
        self, model: keras.Model, checkpoints: Checkpoints | None, epochs: EpochCallback
    ) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._epochs = epochs
        self.best: Arrays | None = None
        self.seconds = 0.0
        self.resumed_after = 0
        stored = checkpoints.newest(model) if checkpoints else None
        if stored:
            assign_variables(model, stored.variables)
            epochs.history |= stored.history
            self.best, self.resumed_after = stored.best, stored.epoch

    @property
    def best_epoch(self) -> int:
        """Return the epoch of the lowest validation loss, the first of several, from 1."""
        losses = self._epochs.history["val_loss"]
        return losses.index(min(losses)) + 1

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep the weights of the best epoch, and store a checkpoint unless the epoch failed."""
        if self._epochs.has_failed:
            return
        if self.best is None or self.best_epoch == epoch + 1:
            self.best = read_weights(self.model)
        if self._checkpoints:
            begun = time.perf_counter()
            variables = read_variables(self.model)
            checkpoint = Checkpoint(epoch + 1, self._epochs.history, variables, self.best)
            self._checkpoints.store(checkpoint, self.model)
            self.seconds += time.perf_counter() - begun
