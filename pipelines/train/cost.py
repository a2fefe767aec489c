"""What a step of training costs in seconds, at several numbers of samples a note.

Times are of the machine that measures them: nothing that names or chooses a run may rest on them.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.convert.resample import resample
from pipelines.notes import NUM_SAMPLES
from pipelines.train.backend import keras
from pipelines.train.experiment import Experiment
from pipelines.train.fit import memory_explained, untrained

LENGTHS: Final = (1_000, 2_000, 4_000, NUM_SAMPLES)

NUM_ROUNDS: Final = 8
MIN_ROUNDS: Final = 4
"""Fewer give no interval worth its name."""

BUDGET_SEC: Final = 3.0
"""For the rounds of one model, after which no further one begins; a slow machine measures less."""

MAX_BATCH: Final = 64
"""Notes of a step at most: beyond them a step takes longer and says nothing new."""


def step_seconds(
    name: str,
    experiment: Experiment,
    audio: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    lengths: Sequence[int] = LENGTHS,
    num_rounds: int = NUM_ROUNDS,
    budget_sec: float = BUDGET_SEC,
) -> list[list[float]]:
    """Trains a model for a few steps on one batch, resampled to each of the lengths.

    A round takes one step of each length, so that a machine which slows down meanwhile slows all of
    them. Takes the seed of this whole process.

    Args:
      audio: float32 [batch, 8000].
      labels: int64 [batch], in [0, 10).
      lengths: samples a note, ascending.

    Returns:
      Seconds of a step, [rounds, lengths]; rounds are `num_rounds`, or fewer where the budget ends.

    Raises:
      ConfigError: memory does not suffice.
    """
    with memory_explained(name, len(audio)):
        steps = [_step(name, experiment, audio, labels, length) for length in lengths]
        # A first step compiles, and a second one still allocates what the models before it took.
        for step in (*steps, *steps):
            step()
        rounds, begun = list[list[float]](), time.perf_counter()
        while len(rounds) < num_rounds and (
            len(rounds) < MIN_ROUNDS or time.perf_counter() - begun < budget_sec
        ):
            rounds.append([_timed(step) for step in steps])
    return rounds


def _step(
    name: str,
    experiment: Experiment,
    audio: NDArray[np.float32],
    labels: NDArray[np.int64],
    num_samples: int,
) -> Callable[[], object]:
    """A step of training on these notes."""
    model = untrained(name, experiment, num_samples=num_samples)
    # [batch, 8000] -> [batch, num_samples, 1]
    samples = resample(audio, num_samples=num_samples)[:, :, np.newaxis]
    batch = keras.ops.convert_to_tensor(samples), keras.ops.convert_to_tensor(labels)

    def step() -> object:
        # It gives the loss as a number, so it has waited for the device.
        return model.train_on_batch(*batch)

    return step


def _timed(step: Callable[[], object]) -> float:
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun
