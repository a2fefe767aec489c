"""The callback that remembers the best epoch and stores a checkpoint after each."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from pipelines.train.backend import keras
from pipelines.train.checkpoint import Best, Checkpoint, History
from pipelines.train.resume import Checkpoints
from pipelines.train.variables import assign, shapes, values, weights

Callback: Final[Any] = keras.callbacks.Callback


class Keeper(Callback):
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
        self._shapes = shapes(model)
        self.best: Best | None = None
        self.seconds = 0.0
        self.resumed_after = 0
        found = checkpoints.newest(shapes=self._shapes) if checkpoints else None
        if found:
            assign(model, found.variables)
            for column, known in history.items():
                known[:] = found.history[column]
            self.best, self.resumed_after = found.best, found.epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keeps the weights of the best epoch, and stores a checkpoint of any that is sound."""
        if not self._is_sound():
            return
        val_loss = self._history["val_loss"][-1]
        if self.best is None or val_loss < self.best.val_loss:
            self.best = Best(epoch + 1, val_loss, weights(self.model))
        if self._checkpoints:
            begun = time.perf_counter()
            checkpoint = Checkpoint(epoch + 1, self._history, values(self.model), self.best)
            self._checkpoints.store(checkpoint, shapes=self._shapes)
            self.seconds += time.perf_counter() - begun
