"""Trainings side by side, on processors: each in a process of its own, which sees its device."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from pipelines.train.selection.run_plan import RunPlan, Training
from tests.flows.command import CHECKOUT

# Devices that are not there, so that the trainings use processors.
DEVICES: Final = ("7", "8")
MODELS: Final = ("preliminary", "optimised")
SCRIPT: Final = """
import os, sys
from pathlib import Path
from flows.server import PrefectServer

server = PrefectServer()
server.start()

from prefect import flow
from prefect.task_runners import ProcessPoolTaskRunner
from flows.retrain import train_side_by_side
from pipelines.experiment import Experiment
from pipelines.train.model import backend
from pipelines.train.selection.run_plan import plan_run
from pipelines.validate.verdicts import validate
from tests.e2e.test_side_by_side import DEVICES, MODELS, WatchedPlan
from tests.pipelines.train.conftest import TEST, TRAIN
from tests.pipelines.train.tiny import commit_notes

root = sys.argv[1]
plan = plan_run(
    train=validate(commit_notes(Path(root), "train", TRAIN)),
    test=validate(commit_notes(Path(root), "test", TEST)),
    experiment=Experiment(models=MODELS, epochs=1, batch_size=4),
    root=root,
    backend=backend.NAME,
)

@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def job():
    return train_side_by_side(
        WatchedPlan(**vars(plan)), root=root, force=False, places=DEVICES
    )

server.wait(on_loss=print)
print(os.getpid(), *(f"{made.subject} {made.action}" for made in job()), sep="\\n")
server.stop()
"""


class WatchedPlan(RunPlan):
    """A plan that records which process trains a model, and the devices that it may use."""

    def trainings(self, model: str) -> list[Training]:
        devices = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        Path(f"{self.uri}.{model}").write_text(f"{os.getpid()} {devices}")
        return super().trainings(model)


def test_train_side_by_side_gives_each_process_its_device(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env=os.environ | {"PREFECT_API_URL": "", "PREFECT_HOME": ""},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    parent, *decisions = done.stdout.splitlines()
    assert decisions == [f"{model} ran" for model in MODELS]
    recorded = [next(tmp_path.glob(f"runs/*.{model}")).read_text().split() for model in MODELS]
    pids, devices = zip(*recorded, strict=True)
    assert devices == DEVICES
    assert len({parent, *pids}) == len(MODELS) + 1
    assert {path.parent.name for path in tmp_path.glob("runs/*/*/model.keras")} == set(MODELS)
