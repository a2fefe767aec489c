"""A search of tiny trials, as a worker of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipelines.architecture import PRELIMINARY
from pipelines.experiment import Experiment
from pipelines.studies.space import Range, Space
from pipelines.validate.verdicts import Validation

if TYPE_CHECKING:
    from pipelines.studies.search import SearchPlan

NUM_TRIALS: Final = 3
BASE: Final = PRELIMINARY.change(name="narrow", blocks=[{"filters": 4}])
EXPERIMENT: Final = Experiment(models=("optimised",), protocol="validation", epochs=4, batch_size=2)


def make_plan(train: Validation, root: str) -> "SearchPlan":
    from pipelines.studies.search import SearchPlan  # noqa: PLC0415 - the parent needs no Keras

    rates = Range(low=1e-4, high=1e-2, log=True)
    space = Space("tiny", "Which step?", BASE, {"fitting.learning_rate": rates})
    return SearchPlan(space, EXPERIMENT, train, 1_000, (0,), NUM_TRIALS, root)


def search(train: Validation, root: str, worker: str) -> None:
    """Run the trials that this worker gets, and write down each; runs in a child."""
    from pipelines.studies.search import Search  # noqa: PLC0415 - as above

    for claim in Search(make_plan(train, root)).claims():
        with Path(root, f"{worker}.log").open("a") as log:
            log.write(f"{claim.trial.name}\n")
        claim.run(cache_dir=Path(root) / "cache")


def list_trials(train: Validation, root: str) -> list[str]:
    """Return the names of the complete trials."""
    from pipelines.studies.search import Search  # noqa: PLC0415 - as above

    return [trial.name for trial in Search(make_plan(train, root)).record().trials]


def search_uri(train: Validation, root: str) -> str:
    """Return the folder of the search."""
    return make_plan(train, root).uri
