"""Trains one model: the same recipe on every backend and device."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pipelines.errors import ConfigError, DatasetError
from pipelines.train.backend import device, jit_compile, keras
from pipelines.train.batches import Batches, Notes
from pipelines.train.experiment import Experiment
from pipelines.train.models import build

History = dict[str, list[float]]
"""One value an epoch in each of `HISTORY_COLUMNS`; `epoch` counts from 1."""

HISTORY_COLUMNS: Final = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")

OnEpoch = Callable[[str, int, int, Mapping[str, float]], None]
"""Hears of each epoch that ended: the model, the epoch from 1, how many there are, its figures."""

Callback: Final[Any] = keras.callbacks.Callback

log = logging.getLogger(__name__)


def hear_nothing(model: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
    """An `OnEpoch` that shows nothing."""


def fit(
    name: str,
    experiment: Experiment,
    train: Notes,
    validation: Notes,
    on_epoch: OnEpoch = hear_nothing,
) -> tuple[keras.Model, History]:
    """Trains a new model; seeds Python, NumPy and the backend of this whole process.

    Raises:
      DatasetError: the loss is no longer finite.
      ConfigError: memory does not suffice for the batch size.
    """
    model = untrained(name, experiment)
    batches = Batches(train, batch_size=experiment.batch_size, seed=experiment.seed)
    conductor = _Conductor(name, experiment, batches, on_epoch)
    log.info(
        "training %s on %s: %d notes, %d to validate, %d epochs, batches of %d",
        *(name, device(), len(train.rows), len(validation.rows)),
        *(experiment.epochs, experiment.batch_size),
    )
    with memory_explained(name, experiment.batch_size):
        model.fit(
            batches,
            validation_data=Batches(validation, batch_size=experiment.batch_size),
            epochs=experiment.epochs,
            # Batches has an order of its own, of all notes; Keras would only permute batches.
            shuffle=False,
            callbacks=[conductor],
            verbose=0,
        )
    conductor.check_finite()
    return model, conductor.history


def untrained(name: str, experiment: Experiment) -> keras.Model:
    """A compiled model whose weights follow from the seed, which this whole process takes."""
    keras.utils.set_random_seed(experiment.seed)
    model = build(name, experiment)
    model.compile(
        optimizer=keras.optimizers.Adam(experiment.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    return model


class _Conductor(Callback):
    """Turns the order of each epoch, times it, keeps its figures, and stops at a broken loss."""

    # The check of a batch's loss may run beside the next batch: it must not make a GPU wait.
    async_safe = True

    def __init__(
        self, name: str, experiment: Experiment, batches: Batches, on_epoch: OnEpoch
    ) -> None:
        super().__init__()
        self.history: History = {column: [] for column in HISTORY_COLUMNS}
        self._name = name
        self._experiment = experiment
        self._batches = batches
        self._on_epoch = on_epoch
        self._epoch = 0
        self._begun = 0.0
        self._broken = ""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch + 1
        self._batches.start_epoch(epoch)
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._listen((logs or {}).get("loss", 0.0), f"epoch {self._epoch}, batch {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        figures = {key: float(value) for key, value in (logs or {}).items()}
        self._listen(figures["val_loss"], f"the validation of epoch {self._epoch}")
        self._look_at_weights()
        if self._broken:
            return
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

    def _listen(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            self._stop(f"the loss of {self._name} became {loss} in {where}")

    def _look_at_weights(self) -> None:
        # Compiled by XLA, a softmax of what is not a number has been seen to give 0.1 for each of
        # the ten classes, and so a loss that looks sound.
        for variable in self.model.trainable_variables:
            if not bool(keras.ops.all(keras.ops.isfinite(variable))):
                self._stop(f"{variable.path} is not finite after epoch {self._epoch}")

    def _stop(self, why: str) -> None:
        self._broken = self._broken or why
        self.model.stop_training = True

    def check_finite(self) -> None:
        """Refuses to return a model of which anything was not finite at any step."""
        if self._broken:
            raise DatasetError(
                f"{self._broken}, with a learning rate of {self._experiment.learning_rate}; lower "
                "--learning-rate, or look for samples far outside [-1, 1]"
            )


@contextmanager
def memory_explained(name: str, batch_size: int) -> Iterator[None]:
    """Turns any backend's way of running out of memory into one sentence.

    Nothing is tried again with a smaller batch: a run must be what its record says.
    """
    try:
        yield
    except Exception as err:
        if not _is_out_of_memory(err):
            raise
        raise ConfigError(
            f"memory does not suffice for {name} with batches of {batch_size} on {device()}; "
            "choose a smaller --batch-size"
        ) from err


def _is_out_of_memory(err: Exception) -> bool:
    # Each backend has its own exception for it, and none of them is imported here.
    words = f"{type(err).__name__} {err}".lower()
    marks = ("out of memory", "outofmemory", "resource_exhausted", "resourceexhausted", "oom when")
    return isinstance(err, MemoryError) or any(mark in words for mark in marks)
