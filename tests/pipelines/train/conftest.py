from pathlib import Path

import pytest

from pipelines.experiment import Experiment
from pipelines.train.model import backend
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import validate
from tests.pipelines.train.tiny import commit_notes

# 15 notes: the first bass is tested too, and synth_lead is no class.
TRAIN = [
    *((number, "bass") for number in range(5)),
    *((number, "organ") for number in range(5, 10)),
    *((number, "vocal") for number in range(10, 14)),
    (14, "synth_lead"),
]
# 6 notes: synth_lead has no label, the second organ repeats the first.
TEST = [
    (0, "bass"),
    (20, "synth_lead"),
    (21, "organ"),
    (21, "organ"),
    (22, "vocal"),
    (23, "bass"),
]
EXPERIMENT = Experiment(models=("preliminary",), epochs=2, batch_size=4)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the data sets `train` and `test`, which no test changes."""
    folder = tmp_path_factory.mktemp("data")
    commit_notes(folder, "train", TRAIN)
    commit_notes(folder, "test", TEST)
    return folder


@pytest.fixture
def plan(root: Path, tmp_path: Path) -> RunPlan:
    """A run of its own for each test."""
    return plan_run(
        train=validate(f"{root}/notes/train/manifest.json"),
        test=validate(f"{root}/notes/test/manifest.json"),
        experiment=EXPERIMENT,
        root=str(tmp_path),
        backend=backend.NAME,
    )
