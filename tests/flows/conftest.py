"""A small generated data set, and the main job run on it once for all tests of flows."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.temporary_server import START_SEC, TemporaryServer
from infra.sample.splits import write_splits
from tests.flows.command import run_json

NUM_NOTES = {"train": 60, "valid": 40, "test": 40}
# So few notes make the planted defects a large share.
LENIENT = ("--max-quarantined", "0.5", "--max-dropped", "0.5")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the three files."""
    folder = tmp_path_factory.mktemp("source")
    write_splits(str(folder), NUM_NOTES)
    return folder


@pytest.fixture(scope="session")
def prefect_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Yield the environment of one server for all tests, without the user's settings and data."""
    env = {
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "DO_NOT_TRACK": "1",
    }
    server = TemporaryServer()
    env |= server.start(os.environ | env, has_database=True, base_path="/api")
    server.wait(seconds=START_SEC, on_loss=print)
    yield env
    server.stop()


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="session")
def arguments(source: Path, root: Path) -> list[str]:
    """Return the arguments of the main job."""
    return [
        *("--train", str(source / "nsynth-train.tfrecord")),
        *("--test", str(source / "nsynth-test.tfrecord")),
        *("--root", str(root), "--epochs", "1", *LENIENT),
    ]


@pytest.fixture(scope="session")
def retrained(arguments: list[str], prefect_env: dict[str, str]) -> dict[str, Any]:
    """Return what the main job printed."""
    return run_json("nsynth", "retrain", *arguments, env=prefect_env)
