"""kill -9 of trainings at random moments, each run again: `python -m tests.train.kill --kills 20`.

A moment is chosen by what is stored, not by the clock, so that all phases are hit on any machine.
The last line is one JSON object.
"""

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final

import typer

from pipelines.experiment import Experiment
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import validate
from tests.pipelines.train.tiny import commit_notes

FAMILIES: Final = ("bass", "organ", "vocal")
FILES: Final = ("model.keras", "labels.json", "history.json", "training.json")
MAX_DELAY_SEC: Final = 0.5

# Each child is a fork of one process that has imported Keras, which takes seconds.
_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["flows", "pipelines.train.run"])


class Model(StrEnum):
    """Which architecture is killed; only the optimised one draws random numbers as it trains."""

    preliminary = "preliminary"
    optimised = "optimised"


@dataclass(frozen=True)
class Moment:
    """When a training is killed.

    Attributes:
      epoch: a checkpoint of it, or of a later one, is stored; 0 for none.
      then: a file that is stored too; none if empty.
      delay_sec: to wait from then on.
    """

    epoch: int
    then: str
    delay_sec: float

    def has_come(self, folder: Path) -> bool:
        """Whether all that is there."""
        if self.then:
            return (folder / self.then).exists()
        return newest_epoch(folder) >= self.epoch


def newest_epoch(folder: Path) -> int:
    """The epoch of the newest checkpoint; 0 if there is none."""
    names = [path.stem for path in (folder / "checkpoints").glob("epoch-*.npz")]
    return max((int(name.removeprefix("epoch-")) for name in names), default=0)


def moment_of(rng: Random, epochs: int) -> Moment:
    """Two thirds of them while it trains, the others from the last epoch to the end."""
    if rng.random() < 2 / 3:
        return Moment(rng.randrange(epochs), "", rng.uniform(0, MAX_DELAY_SEC))
    delay_sec = MAX_DELAY_SEC * rng.choice([0, 0.01, 0.1])
    return Moment(epochs, rng.choice(["", *FILES]), delay_sec)


def plan_under(root: Path, experiment: Experiment) -> RunPlan:
    """A run on the data sets in the folder that holds `root`."""
    train, test = (
        validate(str(root.parent / "notes" / name / "manifest.json")) for name in ("train", "test")
    )
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    return plan_run(train=train, test=test, experiment=experiment, root=str(root), backend=backend)


def commit_datasets(folder: Path) -> None:
    """A few notes to train on, and one to test."""
    commit_notes(folder, "train", [(number, FAMILIES[number % 3]) for number in range(24)])
    commit_notes(folder, "test", [(100, "bass")])


def train(plan: RunPlan, cache_dir: str) -> None:
    """The training that is killed; runs in a child."""
    from pipelines.train.run import train_model  # noqa: PLC0415 - the parent needs no Keras

    train_model(plan, plan.experiment.models[0], cache_dir=Path(cache_dir))


def check_model(folder: str) -> None:
    """Refuses a stored model that is not the one of its record; runs in a child."""
    from pipelines.train.fitting import checkpoints  # noqa: PLC0415 - as above
    from pipelines.train.model.architectures import decode_model  # noqa: PLC0415

    recorded = json.loads((Path(folder) / "training.json").read_text())["weights_digest"]
    assert (
        checkpoints.digest_arrays(
            checkpoints.read_weights(decode_model((Path(folder) / "model.keras").read_bytes()))
        )
        == recorded
    )


@contextmanager
def child(target: Any, *arguments: Any) -> Iterator[ForkServerProcess]:
    """A process of its own."""
    process = _CONTEXT.Process(target=target, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def until(condition: Callable[[], bool], process: ForkServerProcess) -> None:
    """Waits until something holds while a child runs."""
    while not condition():
        assert process.is_alive(), f"the child ended with {process.exitcode}"
        time.sleep(0.001)


def run_to_the_end(target: Any, *arguments: Any) -> None:
    """Lets a child end by itself."""
    with child(target, *arguments) as process:
        process.join()
        assert process.exitcode == 0, f"{target.__name__} ended with {process.exitcode}"


def kill_at(moment: Moment, plan: RunPlan, folder: Path, cache_dir: str) -> str:
    """Starts a training and kills it; says how far it was."""
    with child(train, plan, cache_dir) as process:
        while process.is_alive() and not moment.has_come(folder):
            time.sleep(0.001)
        time.sleep(moment.delay_sec)
    return phase(folder)


def phase(folder: Path) -> str:
    """How far a training is, by the last file that it has stored."""
    for name in reversed(FILES):
        if (folder / name).exists():
            swept = "" if newest_epoch(folder) else ", swept"
            return f"with {name}{swept}"
    epoch = newest_epoch(folder)
    return f"behind epoch {epoch}" if epoch else "with nothing"


def outcome(folder: Path) -> dict[str, Any]:
    """What no kill may change: the weights, the figures of each epoch, the names of the files."""
    history = json.loads((folder / "history.json").read_text())
    return {
        "weights": json.loads((folder / "training.json").read_text())["weights_digest"],
        "history": {column: history[column] for column in history if column != "seconds"},
        "files": sorted(path.name for path in folder.rglob("*") if is_visible(path)),
    }


def is_visible(path: Path) -> bool:
    """Whether a reader sees the file; a kill may leave hidden temporary ones behind."""
    return path.is_file() and path.name[0] != "."


def kill_often(
    folder: Path, *, model: str, epochs: int, kills: int, seed: int
) -> Iterator[tuple[int, str, str]]:
    """Kills trainings of one model on the same notes, and checks each rerun.

    Yields:
      The number of the kill, how far the training was, and the digest of the final weights.

    Raises:
      AssertionError: a rerun does not end as a training that was never killed.
    """
    rng = Random(seed)  # noqa: S311 - nothing is kept secret
    commit_datasets(folder)
    experiment = Experiment(models=(model,), epochs=epochs, batch_size=4)
    clean = plan_under(folder / "clean", experiment)
    run_to_the_end(train, clean, str(folder / "cache"))
    expected = outcome(Path(clean.model_uri(model)))
    for number in range(kills):
        moment = moment_of(rng, epochs)
        plan = plan_under(folder / f"killed-{number}", experiment)
        place, cache_dir = Path(plan.model_uri(model)), str(folder / f"cache-{number}")
        reached = kill_at(moment, plan, place, cache_dir)
        run_to_the_end(train, plan, cache_dir)
        found = outcome(place)
        assert found == expected, f"after a kill {reached}: {found} instead of {expected}"
        run_to_the_end(check_model, str(place))
        shutil.rmtree(folder / f"killed-{number}")
        yield number, reached, found["weights"]


def main(
    kills: Annotated[int, typer.Option(min=1, help="How many trainings are killed.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the moments.")] = 0,
    model: Annotated[Model, typer.Option(help="Which architecture.")] = Model.optimised,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each training.")] = 4,
) -> None:
    """Kills trainings at random moments and runs each again to its end."""
    phases, digests, failed = Counter[str](), set[str](), ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, reached, digest in kill_often(
                Path(folder), model=model.value, epochs=epochs, kills=kills, seed=seed
            ):
                typer.echo(f"kill {number}: {reached}", err=True)
                phases[reached] += 1
                digests.add(digest)
        except AssertionError as err:
            failed = str(err)
    result = {"model": model.value, "seed": seed, "kills": phases.total(), "failed": failed}
    killed = {"weights": sorted(digests), "killed": dict(sorted(phases.items()))}
    typer.echo(json.dumps(result | killed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    typer.run(main)
