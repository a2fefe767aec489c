"""A small generated data set, and the main job done on it once for all tests of flows."""

from pathlib import Path
from typing import Any

import pytest

from infra.sample.splits import write_splits
from tests.flows.command import run_json

NUM_NOTES = {"train": 60, "valid": 40, "test": 40}
# So few notes make the planted defects a large share.
LENIENT = ("--max-quarantined", "0.5", "--max-dropped", "0.5")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the three files."""
    folder = tmp_path_factory.mktemp("source")
    write_splits(str(folder), NUM_NOTES)
    return folder


@pytest.fixture(scope="session")
def prefect_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Prefect without the user's own settings and data."""
    return {"PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")), "PREFECT_API_URL": ""}


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="session")
def arguments(source: Path, root: Path) -> list[str]:
    """What the main job is given."""
    return [
        *("--train", str(source / "nsynth-train.tfrecord")),
        *("--test", str(source / "nsynth-test.tfrecord")),
        *("--root", str(root), "--epochs", "1", *LENIENT),
    ]


@pytest.fixture(scope="session")
def retrained(arguments: list[str], prefect_env: dict[str, str]) -> dict[str, Any]:
    """What the main job printed."""
    return run_json("nsynth", "retrain", *arguments, env=prefect_env)
