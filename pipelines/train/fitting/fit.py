"""Training of one model and prediction with it, the same on every backend and device."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ConfigError, DatasetError
from pipelines.experiment import Experiment
from pipelines.notes import CLASSES, NUM_SAMPLES
from pipelines.registry.runs import History
from pipelines.text import counted
from pipelines.train.devices import machine_bytes
from pipelines.train.fitting.callbacks import (
    CheckpointCallback,
    EpochCallback,
    OnEpoch,
    ignore_epoch,
)
from pipelines.train.fitting.checkpoints import Arrays, Checkpoints
from pipelines.train.fitting.optimiser import compile_model
from pipelines.train.model.architectures import build
from pipelines.train.model.backend import device, keras, on_cpu
from pipelines.train.samples.batches import Batches, Notes

# Names or messages of the backends' exceptions for it.
_OUT_OF_MEMORY: Final = (
    "out of memory",  # PyTorch on a GPU, and JAX in words
    "outofmemory",
    "resource_exhausted",  # JAX, by the name of its status
    "resourceexhausted",  # TensorFlow
    "oom when",
    "can't allocate memory",  # PyTorch on a CPU
)

# A step holds the layers' outputs this often at least: 1.6 to 2.3 times was measured for both
# models on TensorFlow, with batches of 128 and 512.
_COPIES: Final = 1.5

# In float32: the parameter, its gradient, and Adam's two moments.
_BYTES_PER_PARAMETER: Final = 16

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Trained:
    """A model after its last epoch.

    Attributes:
      history: by the columns of `HISTORY_COLUMNS`.
      best: weights of the best epoch.
      best_epoch: epoch of the lowest validation loss, from 1.
      resumed_after: epoch after which this process went on; 0 where it started.
      storing_seconds: time that checkpoints took.
    """

    model: keras.Model
    history: History
    best: Arrays
    best_epoch: int
    resumed_after: int
    storing_seconds: float


def fit(
    name: str,
    experiment: Experiment,
    train: Notes,
    validation: Notes,
    *,
    on_epoch: OnEpoch = ignore_epoch,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train a model; seed Python, NumPy and the backend of the whole process.

    Args:
      checkpoints: a killed training goes on from the newest, and one is stored after each epoch. On
        a CPU the weights are those of a training that was never killed, bit by bit.

    Raises:
      DatasetError: the loss is no longer finite, or an epoch had other batches than it should.
      ConfigError: memory does not suffice for the batch size.
    """
    num_notes, batch_size = len(train.rows), experiment.batch_size
    fitting = experiment.architecture(name).fitting
    batches = Batches(train, batch_size=batch_size, seed=experiment.seed, fitting=fitting)
    model = init_model(
        name,
        experiment,
        num_samples=train.num_samples,
        num_steps=batches.num_batches * experiment.epochs,
    )
    check_footprint(model, batch_size=min(batch_size, num_notes))
    epochs = EpochCallback(name, experiment, batches, num_notes=num_notes, on_epoch=on_epoch)
    stored = CheckpointCallback(model, checkpoints, epochs)
    log.info(
        "training %s on %s: %d notes, %d to validate, %s, batches of %d",
        *(name, device(), num_notes, len(validation.rows)),
        *(counted(experiment.epochs, "epoch"), batch_size),
    )
    with explain_memory_errors(name, batch_size):
        model.fit(
            batches,
            validation_data=Batches(validation, batch_size=batch_size, fitting=fitting),
            initial_epoch=stored.resumed_after,
            epochs=experiment.epochs,
            # Batches has an order of its own, of all notes; Keras would only permute batches.
            shuffle=False,
            callbacks=[epochs, stored],
            verbose=0,
        )
    epochs.check_finite()
    if stored.best is None:
        raise DatasetError(f"{name} ended without an epoch, where {experiment.epochs} are due")
    return Trained(
        model=model,
        history=epochs.history,
        best=stored.best,
        best_epoch=stored.best_epoch,
        resumed_after=stored.resumed_after,
        storing_seconds=round(stored.seconds, 3),
    )


def init_model(
    name: str, experiment: Experiment, *, num_samples: int = NUM_SAMPLES, num_steps: int = 1
) -> keras.Model:
    """Return a compiled model with weights that follow from the seed; seed the whole process.

    Args:
      num_steps: of the whole training.
    """
    keras.utils.set_random_seed(experiment.seed)
    model = build(name, experiment, num_samples=num_samples)
    compile_model(model, experiment.architecture(name), num_steps=num_steps)
    return model


def predict(model: keras.Model, notes: Notes, *, batch_size: int) -> NDArray[np.float32]:
    """Return the probability of each class for each note.

    Returns:
      float32 [num_notes, 10].

    Raises:
      DatasetError: the model answered for another number of notes, or with no probabilities.
      ConfigError: memory does not suffice for the batch size.
    """
    with explain_memory_errors(model.name, batch_size):
        batches = Batches(notes, batch_size=batch_size)
        probabilities = np.asarray(model.predict(batches, verbose=0), np.float32)
    check_complete(probabilities, num_notes=len(notes.rows), model=model.name)
    return probabilities


def check_complete(probabilities: NDArray[np.float32], *, num_notes: int, model: str) -> None:
    """Raise unless every note was scored.

    Args:
      probabilities: float32 [num_notes, 10].

    Raises:
      DatasetError: see `predict`.
    """
    if probabilities.shape != (num_notes, len(CLASSES)):
        raise DatasetError(
            f"expected {num_notes} predictions of {len(CLASSES)} classes from {model}, "
            f"got {' x '.join(map(str, probabilities.shape))}; no part of the test notes is scored"
        )
    if broken := int((~np.isfinite(probabilities)).any(axis=1).sum()):
        raise DatasetError(
            f"{model} gave no finite probabilities for {broken} of {num_notes} test notes"
        )


def check_footprint(model: keras.Model, *, batch_size: int) -> None:
    """Raise if this machine's memory can never hold a batch; only for training on the processor.

    A GPU's allocator raises an error that names the shortage. On a processor TensorFlow has been
    seen to end in a segmentation fault, and Linux kills the process: neither gives a message.

    Raises:
      ConfigError: the batch is too large.
    """
    needed, there = step_bytes(model, batch_size), machine_bytes()
    if on_cpu() and needed > there:
        raise ConfigError(
            f"memory does not suffice for {model.name} with batches of {batch_size} on {device()}: "
            f"{needed / 1e9:,.0f} GB at least where {there / 1e9:,.0f} GB are; choose a smaller "
            "--batch-size"
        )


def step_bytes(model: keras.Model, batch_size: int) -> int:
    """Return the number of bytes that one training step takes at least."""
    outputs = sum(math.prod(layer.output.shape[1:]) for layer in model.layers)
    samples = math.prod(model.input_shape[1:])
    notes = int(batch_size * (samples + outputs * _COPIES) * 4)
    return notes + int(model.count_params()) * _BYTES_PER_PARAMETER


@contextmanager
def explain_memory_errors(name: str, batch_size: int) -> Iterator[None]:
    """Turn any backend's error for a lack of memory into one sentence.

    Nothing is tried again with a smaller batch: a run must be what its record says.

    Raises:
      ConfigError: memory did not suffice for the block.
    """
    try:
        yield
    except Exception as err:
        # Each backend has its own exception for it, and none of them is imported here.
        words = f"{type(err).__name__} {err}".lower()
        if not isinstance(err, MemoryError) and not any(mark in words for mark in _OUT_OF_MEMORY):
            raise
        raise ConfigError(
            f"memory does not suffice for {name} with batches of {batch_size} on {device()}; "
            "choose a smaller --batch-size"
        ) from err
