"""One server and one worker for all tests here, on data that a minute trains on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.sample.splits import write_splits
from tests.e2e.stack import Stack, free_ports

NUM_NOTES = {"train": 320, "valid": 40, "test": 60}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated files."""
    folder = tmp_path_factory.mktemp("source")
    write_splits(str(folder), NUM_NOTES)
    return folder


@pytest.fixture(scope="session")
def parameters(source: Path) -> dict[str, Any]:
    """Of a short retraining, but for its root; one of each defect is many among so few notes."""
    return {
        "train": str(source / "nsynth-train.tfrecord"),
        "test": str(source / "nsynth-test.tfrecord"),
        "models": ["preliminary"],
        "epochs": 2,
        "max_quarantined": 0.5,
        "max_dropped": 0.5,
    }


@pytest.fixture(scope="session")
def other_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that is not the one of the deployments, and whose reports are served."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, source: Path, other_root: Path
) -> Iterator[Stack]:
    """What `make up` leaves running; nothing of it is left behind `make down`."""
    folder = tmp_path_factory.mktemp("stack")
    port = free_ports()
    stack = Stack(
        state=folder / "state",
        port=port,
        env={
            "NSYNTH_STATE": str(folder / "state"),
            "NSYNTH_PORT": str(port),
            "NSYNTH_ROOT": str(folder / "root"),
            "NSYNTH_REPORT_ROOTS": str(other_root),
            "NSYNTH_TRAIN": str(source / "nsynth-train.tfrecord"),
            "NSYNTH_TEST": str(source / "nsynth-test.tfrecord"),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_HOME": str(folder / "state" / "home"),
        },
    )
    try:
        stack.orchestrate("up")
        yield stack
    finally:
        stack.orchestrate("down")
        assert stack.left() == []
        # After all that ran here.
        assert stack.files_with_password() == [stack.state / "password"]
