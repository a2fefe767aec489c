"""Trains one model: the same recipe on every backend and device."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pipelines.errors import ConfigError, DatasetError
from pipelines.notes import NUM_SAMPLES
from pipelines.train.backend import device, jit_compile, keras
from pipelines.train.batches import Batches, Notes
from pipelines.train.checkpoint import Best, History
from pipelines.train.conductor import Conductor, OnEpoch, hear_nothing
from pipelines.train.experiment import Experiment
from pipelines.train.footprint import check_footprint
from pipelines.train.keeper import Keeper
from pipelines.train.models import build
from pipelines.train.resume import Checkpoints

_OUT_OF_MEMORY: Final = (
    "out of memory",  # PyTorch on a GPU, and JAX in words
    "outofmemory",
    "resource_exhausted",  # JAX, by the name of its status
    "resourceexhausted",  # TensorFlow
    "oom when",
    "can't allocate memory",  # PyTorch on a CPU
)
"""What the backends' exceptions for it are called, or say."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Trained:
    """A model after its last epoch.

    Attributes:
      history: by the columns of `HISTORY_COLUMNS`.
      best: the epoch of the lowest validation loss, with its weights.
      resumed_after: the epoch behind which this process went on, 0 where it began.
      storing_seconds: time that checkpoints took.
    """

    model: keras.Model
    history: History
    best: Best
    resumed_after: int
    storing_seconds: float


def fit(
    name: str,
    experiment: Experiment,
    train: Notes,
    validation: Notes,
    *,
    on_epoch: OnEpoch = hear_nothing,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Trains a model; seeds Python, NumPy and the backend of this whole process.

    Args:
      checkpoints: where training goes on if it was killed, and leaves one after each epoch; on a
        CPU the weights are those of a training that was never killed, bit by bit.

    Raises:
      DatasetError: the loss is no longer finite, or an epoch had other batches than it should.
      ConfigError: memory does not suffice for the batch size.
    """
    model = untrained(name, experiment)
    check_footprint(model, batch_size=min(experiment.batch_size, len(train.rows)))
    batches = Batches(train, batch_size=experiment.batch_size, seed=experiment.seed)
    num_batches = -(-len(train.rows) // experiment.batch_size)
    conductor = Conductor(name, experiment, batches, num_batches, on_epoch)
    keeper = Keeper(model, checkpoints, conductor.history, lambda: not conductor.is_broken)
    log.info(
        "training %s on %s: %d notes, %d to validate, %d epochs, batches of %d",
        *(name, device(), len(train.rows), len(validation.rows)),
        *(experiment.epochs, experiment.batch_size),
    )
    with memory_explained(name, experiment.batch_size):
        model.fit(
            batches,
            validation_data=Batches(validation, batch_size=experiment.batch_size),
            initial_epoch=keeper.resumed_after,
            epochs=experiment.epochs,
            # Batches has an order of its own, of all notes; Keras would only permute batches.
            shuffle=False,
            callbacks=[conductor, keeper],
            verbose=0,
        )
    conductor.check_finite()
    if keeper.best is None:
        raise DatasetError(f"{name} ended without an epoch, where {experiment.epochs} are due")
    return Trained(
        model, conductor.history, keeper.best, keeper.resumed_after, round(keeper.seconds, 3)
    )


def untrained(name: str, experiment: Experiment, *, num_samples: int = NUM_SAMPLES) -> keras.Model:
    """A compiled model whose weights follow from the seed, which this whole process takes."""
    keras.utils.set_random_seed(experiment.seed)
    model = build(name, experiment, num_samples=num_samples)
    model.compile(
        optimizer=keras.optimizers.Adam(experiment.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile(),
    )
    return model


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
    return isinstance(err, MemoryError) or any(mark in words for mark in _OUT_OF_MEMORY)
