"""The callback that conducts an epoch: its order, its figures, and its end at a broken loss."""

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
    Best,
    Checkpoint,
    Checkpoints,
    assign_variables,
    describe_variables,
    read_variables,
    read_weights,
)
from pipelines.train.model.backend import keras
from pipelines.train.samples.batches import Batches

OnEpoch = Callable[[str, int, int, Mapping[str, float]], None]
"""Hears of each epoch that ended: the model, the epoch from 1, how many there are, its figures."""

Callback: Final[Any] = keras.callbacks.Callback

_AFTER_BATCHES: Final = sys.maxsize

log = logging.getLogger(__name__)


def ignore_epoch(model: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
    """An `OnEpoch` that shows nothing."""


class EpochCallback(Callback):
    """Turns the order of each epoch, times it, keeps its figures, and stops at a broken loss."""

    # The check of a batch's loss may run beside the next batch: it must not make a GPU wait.
    async_safe = True

    def __init__(
        self,
        name: str,
        experiment: Experiment,
        batches: Batches,
        num_batches: int,
        on_epoch: OnEpoch,
    ) -> None:
        super().__init__()
        self.history: History = {column: [] for column in HISTORY_COLUMNS}
        self._name = name
        self._experiment = experiment
        self._batches = batches
        self._num_batches = num_batches
        self._on_epoch = on_epoch
        self._epoch = 0
        self._num_steps = 0
        self._begun = 0.0
        self._broken: tuple[int, str] | None = None

    @property
    def is_broken(self) -> bool:
        """Whether anything was not finite at any step."""
        return self._broken is not None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Arranges the notes for the epoch."""
        self._epoch = epoch + 1
        self._num_steps = 0
        self._batches.start_epoch(epoch)
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Counts the batch, and looks at the mean loss so far."""
        # Batches may be told of out of their order, where that happens beside the training.
        self._num_steps = max(self._num_steps, batch + 1)
        step = f"epoch {self._epoch}, batch {batch + 1}"
        self._listen((logs or {}).get("loss", 0.0), step, batch)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keeps and tells the figures of an epoch that is sound."""
        figures = {key: float(value) for key, value in (logs or {}).items()}
        self._listen(figures["val_loss"], f"the validation of epoch {self._epoch}")
        self._look_at_weights()
        if self.is_broken:
            return
        self._check_steps()
        figures |= {"epoch": epoch + 1, "seconds": time.perf_counter() - self._begun}
        for column in HISTORY_COLUMNS:
            self.history[column].append(figures[column])
        log.info(
            "%s epoch %d/%d: loss %.4f, accuracy %.4f, val_loss %.4f, val_accuracy %.4f, %.1f s",
            *(self._name, epoch + 1, self._experiment.epochs),
            *(figures[column] for column in HISTORY_COLUMNS[1:]),
            extra={"is_progress": True},
        )
        self._on_epoch(self._name, epoch + 1, self._experiment.epochs, figures)

    def _listen(self, loss: float, where: str, batch: int = _AFTER_BATCHES) -> None:
        if not math.isfinite(loss):
            self._stop(f"the loss of {self._name} became {loss} in {where}", batch)

    def _look_at_weights(self) -> None:
        # Compiled by XLA, a softmax of what is not a number has been seen to give 0.1 for each of
        # the ten classes, and so a loss that looks sound.
        for variable in self.model.trainable_variables:
            if not bool(keras.ops.all(keras.ops.isfinite(variable))):
                self._stop(f"{variable.path} is not finite after epoch {self._epoch}")

    def _stop(self, why: str, batch: int = _AFTER_BATCHES) -> None:
        if self._broken is None or batch < self._broken[0]:
            self._broken = (batch, why)
        self.model.stop_training = True

    def _check_steps(self) -> None:
        if self._num_steps != self._num_batches:
            raise DatasetError(
                f"epoch {self._epoch} of {self._name} had {self._num_steps} batches, expected "
                f"{self._num_batches} of {self._experiment.batch_size} notes; this is a defect"
            )

    def check_finite(self) -> None:
        """Refuses to return a model of which anything was not finite at any step."""
        if self._broken:
            raise DatasetError(
                f"{self._broken[1]}, with a learning rate of {self._experiment.learning_rate}; "
                "look for notes with samples far outside [-1, 1], or lower learning_rate of the "
                "experiment, which code can set and the command line cannot"
            )


class CheckpointCallback(Callback):
    """Goes on from the newest checkpoint, then stores one an epoch.

    Args:
      model: compiled.
      checkpoints: None to store none.
      history: of the callback before this one, which adds an epoch to it first; it is filled with
        the epochs that ended before.
      is_sound: whether the epoch that ends may be stored.

    Attributes:
      best: None before the first epoch ends.
      seconds: time that storing took.
    """

    def __init__(
        self,
        model: keras.Model,
        checkpoints: Checkpoints | None,
        history: History,
        is_sound: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._checkpoints = checkpoints
        self._history = history
        self._is_sound = is_sound
        self._shapes = describe_variables(model)
        self.best: Best | None = None
        self.seconds = 0.0
        self.resumed_after = 0
        found = checkpoints.newest(shapes=self._shapes) if checkpoints else None
        if found:
            assign_variables(model, found.variables)
            for column, known in history.items():
                known[:] = found.history[column]
            self.best, self.resumed_after = found.best, found.epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keeps the weights of the best epoch, and stores a checkpoint of any that is sound."""
        if not self._is_sound():
            return
        val_loss = self._history["val_loss"][-1]
        if self.best is None or val_loss < self.best.val_loss:
            self.best = Best(epoch + 1, val_loss, read_weights(self.model))
        if self._checkpoints:
            begun = time.perf_counter()
            checkpoint = Checkpoint(epoch + 1, self._history, read_variables(self.model), self.best)
            self._checkpoints.store(checkpoint, shapes=self._shapes)
            self.seconds += time.perf_counter() - begun
