"""What Prefect costs: the main job through it, against the same stages called one after the other.

python -m tests.bench.orchestration [TURNS]

Each turn does both in processes and roots of their own, then both again where nothing has changed.
The last line is JSON: seconds, medians of the turns.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from infra.sample.splits import write_splits

_NUM_NOTES: Final = {"train": 320, "valid": 40, "test": 60}

_DIRECT: Final = """
import sys
from pipelines.convert.job import convert
from pipelines.report.build import current_report
from pipelines.train.experiment import Experiment
from pipelines.train.stage import train_and_evaluate

source, root = sys.argv[1:]
manifests = {
    side: convert([f"{source}/nsynth-{side}.tfrecord"], root=root, max_quarantined=0.5)[0]
    for side in ("train", "test")
}
run = train_and_evaluate(manifests, experiment=Experiment(epochs=1), root=root, max_dropped=0.5)
current_report(run)
"""


def main(turns: int = 3) -> None:
    """Measures, and prints what was measured."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/source"
        write_splits(source, _NUM_NOTES)
        for turn in range(turns):
            for again in ("", ", nothing changed"):
                for how in ("direct", "prefect"):
                    root = f"{folder}/{how}-{turn}"
                    seconds = _seconds(how, source=source, root=root, home=f"{folder}/prefect")
                    found.setdefault(how + again, []).append(seconds)
                    print(f"turn {turn + 1}, {how}{again}: {seconds:.1f} s")
    medians = {name: round(statistics.median(of), 2) for name, of in found.items()}
    costs = {
        "main_job_sec": round(medians["prefect"] - medians["direct"], 2),
        "nothing_changed_sec": round(
            medians["prefect, nothing changed"] - medians["direct, nothing changed"], 2
        ),
    }
    print(json.dumps({"turns": turns, "seconds": medians, "cost": costs}))


def _seconds(how: str, *, source: str, root: str, home: str) -> float:
    pair = [f"{source}/nsynth-{side}.tfrecord" for side in ("train", "test")]
    lenient = ("--max-quarantined", "0.5", "--max-dropped", "0.5")
    nsynth = str(Path(sys.executable).parent / "nsynth")
    command = {
        "direct": [sys.executable, "-c", _DIRECT, source, root],
        "prefect": [
            *(nsynth, "retrain", "--train", pair[0], "--test", pair[1]),
            *("--root", root, "--epochs", "1", "--no-promote", *lenient),
        ],
    }[how]
    begun = time.perf_counter()
    env = os.environ | {"PREFECT_HOME": home, "PREFECT_API_URL": ""}
    subprocess.run(command, env=env, check=True, capture_output=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
