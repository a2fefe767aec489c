"""Run every command on fixed notes and record what it answers.

    python -m tests.answers.record OUT.json [--real FOLDER]

A change that is meant to keep the answers is checked with this: `test_answers.py` compares a run
with the recorded files beside it. Weights and scores depend on the processor and on the versions of
libraries, so a record names both.
"""

import argparse
import hashlib
import json
import platform
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from infra.sample.splits import write_splits
from tests.flows.command import run

NUM_NOTES = {"train": 60, "valid": 40, "test": 40}
LENIENT = ("--max-quarantined", "0.5", "--max-dropped", "0.5")
# Times, places, and sizes that depend on a compression library.
_NOT_ANSWERS = ("seconds", "_sec", "bytes", "uri", "version", "versions", "sha256", "digest")


class Commands:
    """Runs commands on one root and keeps the keys of what they print."""

    def __init__(self, folder: Path) -> None:
        self.keys: dict[str, list[str]] = {}
        self._env = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": ""}

    def __call__(self, title: str, *arguments: str) -> Any:
        done = run("nsynth", *arguments, "--json", env=self._env)
        assert done.returncode == 0, f"{title}: {done.stderr}"
        result = json.loads(done.stdout.splitlines()[-1])
        self.keys[title] = sorted(set(key_paths(result)))
        return result


def key_paths(value: object, path: str = "") -> Iterator[str]:
    """Yield the path of each key; what identifies a run or a data set is `*`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = "*" if len(key) >= 12 and set(key) <= set("0123456789abcdef") else key
            yield from key_paths(inner, f"{path}.{name}")
    elif isinstance(value, list):
        yield f"{path}[]"
        for inner in value:
            yield from key_paths(inner, f"{path}[]")
    else:
        yield path


def record_demo(folder: Path) -> dict[str, Any]:
    """Return the answers of all commands on generated notes."""
    write_splits(str(folder / "source"), NUM_NOTES)
    root = folder / "root"
    at = ("--root", str(root))
    train, test = (str(folder / "source" / f"nsynth-{name}.tfrecord") for name in ("train", "test"))
    call = Commands(folder)
    job = ("retrain", "--train", train, "--test", test, *at, *LENIENT)
    first = call("retrain", *job, "--epochs", "2")
    call("retrain, two seeds", *job, "--epochs", "1", "--seed", "1", "--seed", "2")
    manifest = call("convert", "convert", train, *at, "--max-quarantined", "0.5")["manifest"]
    call("convert, plan", "convert", train, *at, "--dry-run")
    call("validate", "validate", manifest, "--max-dropped", "0.5")
    grouped = ("--protocol", "grouped", "--epochs", "1", "--model", "preliminary")
    other = call("train", "train", manifest, *at, *grouped, "--max-dropped", "0.5")
    call("list", "list", str(root))
    run_id = first["run_id"]
    call("evaluate", "evaluate", run_id, *at)
    call("compare", "compare", run_id, run_id, *at)
    call("report", "report", run_id, *at)
    call("index", "index", *at)
    call("verify", "verify", manifest)
    call("verify, run", "verify", f"{root}/runs/{run_id}")
    call("quarantine", "quarantine", manifest)
    call("promote", "promote", run_id, *at, "--reason", "by hand")
    call("clean", "clean", str(root))
    return {"keys": call.keys, **answers(root, (run_id, other["run_id"]))}


def record_real(folder: Path, notes: Path) -> dict[str, Any]:
    """Return the answers of the main job on real notes."""
    root = folder / "root"
    call = Commands(folder)
    sources = (
        "--train",
        f"{notes}/nsynth-train.tfrecord",
        "--test",
        f"{notes}/nsynth-test.tfrecord",
    )
    done = call("retrain", "retrain", *sources, "--root", str(root), "--epochs", "2")
    return answers(root, (done["run_id"],))


def answers(root: Path, run_ids: tuple[str, ...]) -> dict[str, Any]:
    """Return what is stored: `data` is the same everywhere, `models` on one kind of machine."""
    return {
        "data": sorted(data_answers(root), key=lambda answer: answer["manifest_digest"]),
        "runs": {"run_ids": list(run_ids)},
        "models": [model_answers(root / "runs" / run_id) for run_id in run_ids],
        "machine": machine(),
    }


def data_answers(root: Path) -> Iterator[dict[str, Any]]:
    for path in root.rglob("manifest.json"):
        manifest = json.loads(path.read_text())
        verdicts = next(path.parent.rglob("verdicts.parquet"))
        yield {
            "manifest_digest": manifest["manifest_digest"],
            "samples_digest": manifest["samples_digest"],
            "verdicts": digest(pq.read_table(verdicts).to_pylist()),
        }


def model_answers(run: Path) -> dict[str, Any]:
    import keras  # noqa: PLC0415 - costs seconds

    found = {}
    for path in sorted(run.glob("*/metrics.json")):
        weights = hashlib.sha256()
        for model in sorted(path.parent.rglob("*.keras")):
            for values in keras.saving.load_model(model, compile=False).get_weights():
                weights.update(np.ascontiguousarray(values).tobytes())
        predictions = pq.read_table(path.parent / "predictions.parquet")
        found[path.parent.name] = {
            "weights": weights.hexdigest(),
            "predictions": digest(predictions.to_pylist()),
            "metrics": without_times(json.loads(path.read_text())),
        }
    return found


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: without_times(inner)
            for key, inner in value.items()
            if not key.endswith(_NOT_ANSWERS)
        }
    return [without_times(inner) for inner in value] if isinstance(value, list) else value


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def machine() -> dict[str, str]:
    """Return what floating point depends on."""
    with open("/proc/cpuinfo") as info:  # noqa: PTH123 - as every description of Linux has it
        flags = next((line for line in info if line.startswith("flags")), "")
    packages = {name: version(name) for name in ("tensorflow", "keras", "numpy", "scipy")}
    return {"platform": platform.machine(), "cpu": digest(sorted(flags.split())), **packages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--real", type=Path, help="folder of real notes, in place of the demo's")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nsynth-answers-") as name:
        folder = Path(name)
        found = record_real(folder, chosen.real) if chosen.real else record_demo(folder)
    chosen.out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
