"""Runs that are killed, cancelled, and that wait for each other."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.orchestration.provision import HEARTBEAT_SEC, SILENCE_SEC
from tests.e2e.stack import Stack, kill, until

LONG = {"epochs": 12, "batch_size": 8}
ENDLESS = {"epochs": 5000, "batch_size": 8}
"""For a training that nobody waits for."""


@pytest.fixture
def given(parameters: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A training long enough to be killed, under a root of its own."""
    return parameters | LONG | {"root": str(tmp_path)}


def trains(root: Path) -> bool:
    """Whether a training has stored its first epoch and not its model."""
    return bool(list(root.glob("runs/*/preliminary/checkpoints/epoch-*.npz")))


def started(stack: Stack, given: dict[str, Any]) -> tuple[str, Path]:
    return stack.start("retrain/manual", **given), Path(given["root"])


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def test_run_killed_while_it_converts_goes_on_where_it_stopped(
    stack: Stack, given: dict[str, Any]
) -> None:
    given |= {"range_mib": 1, "epochs": 1}
    run, root = started(stack, given)

    def converts() -> bool:
        return len(list(root.glob("notes/*/data/part-*.parquet"))) > 2

    until(converts, "the first shards", every_sec=0.01)
    kill(stack.processes(run))
    (folder,) = root.glob("notes/*")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("data/part-*.parquet")}
    assert not (folder / "manifest.json").exists()
    assert stack.end_of(run)["state"]["type"] == "CRASHED"

    again = stack.completed("retrain/manual", **given)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(folder.glob("data/part-*.parquet"))) > len(before)
    summary = stack.artifacts(again["id"])["summary"]["data"]
    assert "| convert | nsynth-train.tfrecord | resumed |" in summary
    assert any("the others are stored" in line for line in stack.words(again["id"]))


def test_run_killed_while_it_trains_goes_on_behind_its_last_epoch(
    stack: Stack, given: dict[str, Any]
) -> None:
    run, root = started(stack, given)
    until(lambda: trains(root), "the first epoch", every_sec=0.1)
    kill(stack.processes(run))
    assert stack.end_of(run)["state"]["type"] == "CRASHED"
    (training,) = root.glob("runs/*/preliminary")
    assert not (training / "training.json").exists()

    again = stack.completed("retrain/manual", **given)
    words = "\n".join(stack.words(again["id"]))
    assert "resuming preliminary of run" in words
    assert "preliminary epoch 1/12" not in words
    assert "preliminary epoch 12/12" in words
    assert "| resumed |" in stack.artifacts(again["id"])["summary"]["data"]


def test_killed_worker_and_run_are_crashed_in_time_and_the_queue_serves_the_next(
    stack: Stack, given: dict[str, Any], parameters: dict[str, Any], tmp_path: Path
) -> None:
    run, root = started(stack, given | ENDLESS)
    until(lambda: trains(root), "the first epoch", every_sec=0.1)
    worker = stack.service("worker")
    # The automation counts from a sign of life that it has seen.
    time.sleep(HEARTBEAT_SEC + 5)
    kill([worker, *psutil.Process(worker.pid).children(recursive=True), *stack.processes(run)])
    killed = time.time()
    crashed = stack.end_of(run)
    assert crashed["state"]["type"] == "CRASHED"
    assert "A run that has become silent" in crashed["state"]["message"]
    # One more silence for a server that is slow to look.
    assert seconds(crashed["end_time"]) - killed < 2 * SILENCE_SEC

    waiting = stack.start("retrain/manual", **parameters, root=str(root))
    stack.orchestrate("up")
    assert stack.end_of(waiting)["state"]["type"] == "COMPLETED"


def test_runs_of_the_gpu_queue_never_overlap(
    stack: Stack, parameters: dict[str, Any], tmp_path: Path
) -> None:
    runs = [
        stack.start("retrain/manual", **parameters, root=str(tmp_path / side))
        for side in ("first", "second")
    ]
    ended = sorted((stack.end_of(run) for run in runs), key=lambda run: run["start_time"])
    assert [run["state"]["type"] for run in ended] == ["COMPLETED"] * 2
    assert ended[0]["work_queue_name"] == "gpu"
    assert seconds(ended[0]["end_time"]) <= seconds(ended[1]["start_time"])


def test_cancelled_run_ends_cleanly_and_goes_on_when_run_again(
    stack: Stack, given: dict[str, Any]
) -> None:
    given |= {"epochs": 40}
    run, root = started(stack, given)
    until(lambda: trains(root), "the first epoch", every_sec=0.1)
    done = stack.command("prefect", "flow-run", "cancel", run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert stack.end_of(run)["state"]["type"] == "CANCELLED"
    until(lambda: not stack.processes(run), "its processes to end")
    again = stack.completed("retrain/manual", **given)
    assert "resuming preliminary of run" in "\n".join(stack.words(again["id"]))


def test_down_leaves_nothing_running_and_up_brings_all_back(stack: Stack) -> None:
    assert stack.left()
    stack.orchestrate("down")
    assert stack.left() == []
    assert "not running" in stack.orchestrate("status")
    stack.orchestrate("down")
    stack.orchestrate("up")
    assert {"server", "worker"} <= {
        line.split()[0] for line in stack.orchestrate("status").splitlines()
    }
