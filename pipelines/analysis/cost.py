"""Cost of a longer note in training time, measured once and stored with the run.

Times are of the machine that measures them: nothing that names or chooses a run may depend on them.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pipelines import storage
from pipelines.analysis.stored import COST_FORMAT, StepTimes, load_cost
from pipelines.convert.reading.tfrecord_range import resample
from pipelines.decisions import record_decision
from pipelines.errors import ConfigError
from pipelines.evaluate.bootstrap import LEVEL, Interval
from pipelines.experiment import Experiment
from pipelines.layout import COST_FILE
from pipelines.records import parse, to_json
from pipelines.train.fitting.fit import explain_memory_errors, init_model
from pipelines.train.model.architectures import build
from pipelines.train.model.backend import device
from pipelines.train.samples.batches import Batches, Notes
from pipelines.train.selection.notes import training_notes
from pipelines.train.selection.run_plan import RunPlan
from pipelines.validate.verdicts import open_validated

# The lengths of notes are those of the data set divided by these: 1,000 to 8,000 by default.
DIVISORS: Final = (8, 4, 2, 1)

NUM_ROUNDS: Final = 8

# Fewer rounds give no useful interval.
MIN_ROUNDS: Final = 4

# For the rounds of one model; no further round begins after it. A slow machine measures less.
BUDGET_SEC: Final = 3.0

# Notes per step at most: with more, a step takes longer and shows nothing new.
MAX_BATCH: Final = 64

_MIN_SLOPES: Final = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Growth:
    """Seconds against samples, fitted as seconds = constant x samples ** exponent.

    Attributes:
      exponent: 1 where time grows in proportion, 0 where it does not grow.
      interval: of 95 %, by Student's t over the rounds; None where they are too few. It shows how
        much the times of this machine vary, not how another machine would do.
    """

    exponent: float
    interval: Interval | None


def measure_cost(
    plan: RunPlan, *, force: bool = False, budget_sec: float = BUDGET_SEC
) -> dict[str, Any]:
    """Time a training step of each model of a run at several lengths of its own notes.

    Args:
      force: measure again even if the times are stored.
      budget_sec: for the rounds of each model, see `step_seconds`.

    Returns:
      The content of cost.json.
    """
    uri = storage.join(plan.uri, COST_FILE)
    stored = None if force else load_cost(plan.uri)
    if stored is not None and stored["of"] == plan.run_id:
        why = f"{uri} has what a longer note costs the models of run {plan.run_id}"
        record_decision(log, "analyse", plan.run_id, "reused", why)
        return stored
    lengths = timed_lengths(plan.experiment, plan.num_samples)
    span = f"{lengths[0]:,} to {lengths[-1]:,} samples"
    why = f"timing training steps of run {plan.run_id} on notes of {span}"
    record_decision(log, "analyse", plan.run_id, "ran", why)
    notes, _ = training_notes(plan.trainings(plan.experiment.models[0])[0])
    notes = notes.slice(0, min(plan.experiment.batch_size, MAX_BATCH))
    audio = open_validated(plan.train).audio(notes["row"].to_pylist())
    labels = notes["label"].to_numpy()
    times = {
        name: summarise_times(
            lengths,
            step_seconds(name, plan.experiment, audio, labels, lengths, budget_sec=budget_sec),
        )
        for name in plan.experiment.models
    }
    data = to_json(
        {
            "format_version": COST_FORMAT,
            "of": plan.run_id,
            "device": device(),
            "batch_size": notes.num_rows,
            "lengths": lengths,
            "models": {name: asdict(measured) for name, measured in times.items()},
        }
    )
    storage.put(uri, data)
    return parse(data)


def timed_lengths(experiment: Experiment, num_samples: int) -> tuple[int, ...]:
    """Return the lengths of notes to time, ascending, without those too short for a model.

    Args:
      num_samples: samples per note of the data set.
    """
    for first in range(len(DIVISORS) - 1):
        try:
            for name in experiment.models:
                build(name, experiment, num_samples=num_samples // DIVISORS[first])
        except ConfigError:
            continue
        return tuple(num_samples // divisor for divisor in DIVISORS[first:])
    # One length alone shows no growth.
    return num_samples, 2 * num_samples


def summarise_times(lengths: Sequence[int], rounds: Sequence[Sequence[float]]) -> StepTimes:
    """Return the times of one model with their exponent.

    Args:
      lengths: samples per note.
      rounds: seconds of a step, [num_rounds, num_lengths].
    """
    growth = fit_growth(lengths, rounds)
    seconds = tuple(tuple(steps) for steps in np.round(rounds, 6).tolist())
    return StepTimes(growth.exponent, growth.interval, seconds)


def fit_growth(lengths: Sequence[int], rounds: Sequence[Sequence[float]]) -> Growth:
    """Fit the slope of log seconds against log samples in each round, and average the slopes.

    Args:
      lengths: samples per note, at least two different ones.
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


def step_seconds(
    name: str,
    experiment: Experiment,
    audio: NDArray[np.float32],
    labels: NDArray[np.int64],
    lengths: Sequence[int],
    *,
    num_rounds: int = NUM_ROUNDS,
    budget_sec: float = BUDGET_SEC,
) -> list[list[float]]:
    """Train a model for a few steps on one batch, resampled to each of the lengths.

    A round takes one step of each length, so that a machine which slows down meanwhile slows all of
    them. Seeds the whole process.

    Args:
      audio: float32 [batch, num_samples].
      labels: int64 [batch], in [0, 10).
      lengths: samples per note, ascending.

    Returns:
      Seconds per step, [rounds, lengths]; fewer than `num_rounds` rounds where the budget ends.

    Raises:
      ConfigError: memory does not suffice.
    """
    with explain_memory_errors(name, len(audio)):
        steps = [_make_step(name, experiment, audio, labels, length) for length in lengths]
        # The first step compiles; the second still allocates what the models before it took.
        for step in (*steps, *steps):
            step()
        rounds, begun = list[list[float]](), time.perf_counter()
        while len(rounds) < num_rounds and (
            len(rounds) < MIN_ROUNDS or time.perf_counter() - begun < budget_sec
        ):
            rounds.append([_time(step) for step in steps])
    return rounds


def _make_step(
    name: str,
    experiment: Experiment,
    audio: NDArray[np.float32],
    labels: NDArray[np.int64],
    num_samples: int,
) -> Callable[[], object]:
    """Return a function that takes one training step on these notes."""
    model = init_model(name, experiment, num_samples=num_samples)
    notes = Notes(resample(audio, num_samples=num_samples), np.arange(len(audio)), labels)
    fitting = experiment.architecture(name).fitting
    batch = next(iter(Batches(notes, batch_size=len(audio), fitting=fitting)))

    def step() -> object:
        # It returns the loss as a number, so that it has waited for the device.
        return model.train_on_batch(*batch)

    return step


def _time(step: Callable[[], object]) -> float:
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun
