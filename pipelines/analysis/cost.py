"""What a longer note costs a run's models in training time, measured once and kept with the run."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipelines import storage
from pipelines.analysis.stored import COST_FORMAT, load_cost
from pipelines.convert.resample import resample
from pipelines.dataset import open_dataset
from pipelines.decisions import decided
from pipelines.evaluate.bootstrap import LEVEL, Interval
from pipelines.experiment import Experiment
from pipelines.layout import COST_FILE
from pipelines.notes import NUM_SAMPLES
from pipelines.train.fitting.fit import explain_memory_errors, init_model
from pipelines.train.model.backend import device, keras
from pipelines.train.selection.notes import training_rows
from pipelines.train.selection.run_plan import RunPlan
from pipelines.train.selection.split import class_labels

_MIN_SLOPES: Final = 3
"""Fewer rounds give no interval."""


@dataclass(frozen=True)
class Growth:
    """Seconds against samples, fitted as seconds = constant x samples ** exponent.

    Attributes:
      exponent: 1 where time grows in proportion, 0 where it does not grow.
      interval: of 95 %, by Student's t over the rounds; None where they are too few. It holds how
        much the machine wavered, not how another machine would do.
    """

    exponent: float
    interval: Interval | None


def fit_growth(lengths: Sequence[int], rounds: Sequence[Sequence[float]]) -> Growth:
    """The mean over rounds of the slope of log seconds against log samples.

    Args:
      lengths: samples a note, two different ones at least.
      rounds: seconds above 0, [num_rounds, num_lengths].
    """
    logs = np.log(np.asarray(lengths, np.float64))
    slopes = np.polyfit(logs, np.log(np.asarray(rounds, np.float64)).T, 1)[0]
    exponent = float(slopes.mean())
    if len(slopes) < _MIN_SLOPES:
        return Growth(exponent, None)
    error = float(slopes.std(ddof=1)) / len(slopes) ** 0.5
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(slopes) - 1)) * error
    return Growth(exponent, (exponent - half, exponent + half))


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
    with explain_memory_errors(name, len(audio)):
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
    model = init_model(name, experiment, num_samples=num_samples)
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


log = logging.getLogger(__name__)


def measure_cost(plan: RunPlan, *, force: bool = False) -> dict[str, Any]:
    """Times a training step of each model of a run at several lengths of its own notes.

    Args:
      force: measure again although the times are there.

    Returns:
      The content of cost.json.
    """
    uri = storage.join(plan.uri, COST_FILE)
    stored = None if force else load_cost(plan.uri)
    if stored is not None and stored["of"] == plan.run_id:
        why = f"{uri} has what a longer note costs the models of run {plan.run_id}"
        decided(log, "analyse", plan.run_id, "reused", why)
        return stored
    span = f"{LENGTHS[0]:,} to {LENGTHS[-1]:,} samples"
    why = f"timing training steps of run {plan.run_id} on notes of {span}"
    decided(log, "analyse", plan.run_id, "ran", why)
    rows, _ = training_rows(plan, plan.folds[0])
    rows = rows[: min(plan.experiment.batch_size, MAX_BATCH)]
    dataset = open_dataset(plan.train.manifest_uri)
    audio = dataset.audio(rows.tolist())
    labels = class_labels(dataset.read(["instrument_family"])["instrument_family"].to_numpy()[rows])
    content = {
        "format_version": COST_FORMAT,
        "of": plan.run_id,
        "device": device(),
        "batch_size": len(rows),
        "lengths": list(LENGTHS),
        "models": {
            name: _measured(step_seconds(name, plan.experiment, audio, labels))
            for name in plan.experiment.models
        },
    }
    storage.put(uri, (json.dumps(content, indent=1) + "\n").encode())
    return content


def _measured(rounds: list[list[float]]) -> dict[str, Any]:
    """One model's part of cost.json: its exponent, and seconds of a step by round and length."""
    found = fit_growth(LENGTHS, rounds)
    ends = None if found.interval is None else list(found.interval)
    seconds = np.round(rounds, 6).tolist()
    return {"exponent": found.exponent, "interval": ends, "seconds": seconds}
