import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.evaluate.comparison import evaluate_run
from tests.pipelines.train.conftest import EXPERIMENT

CODE = """
import json, sys
from pipelines.train.experiment import Experiment
from pipelines.train.stage import train_and_evaluate

root, runs, experiment = sys.argv[1:]
manifests = {name: f"{root}/notes/{name}/manifest.json" for name in ("train", "test")}
experiment = Experiment.from_dict(json.loads(experiment))
print(train_and_evaluate(manifests, experiment=experiment, root=runs, max_dropped=1.0))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_run_is_the_same_code_on_another_backend(backend: str, root: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    experiment = json.dumps(EXPERIMENT.to_dict() | {"models": ["preliminary", "optimised"]})
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(root), str(tmp_path), experiment],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    run = Path(done.stdout.strip())
    record = json.loads((run / "run.json").read_text())
    assert record["device"].split("(")[1].startswith(backend)
    # This process has another backend, and finds the same figures in those predictions.
    before = {path: path.read_bytes() for path in run.rglob("metrics.json")}
    for path in before:
        path.unlink()
    assert set(evaluate_run(str(run))) == {"preliminary", "optimised"}
    assert {path: path.read_bytes() for path in before} == before
