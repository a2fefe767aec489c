import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines import storage
from pipelines.experiment import Experiment
from pipelines.train.fitting.checkpoints import Checkpoint, Checkpoints
from pipelines.train.fitting.fit import init_model
from pipelines.train.model.backend import keras

MODEL, OTHER = (
    init_model("preliminary", Experiment(), num_samples=50),
    init_model("optimised", Experiment(), num_samples=50),
)
VALUES = (np.arange(3, dtype=np.float32),)
FIRST = Checkpoint(1, {"epoch": [1]}, VALUES, VALUES)


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    root: str = request.getfixturevalue("bucket") if request.param == "s3" else str(tmp_path)
    return storage.join(root, "runs", "r", "preliminary", "checkpoints")


def stored(uri: str, *, epochs: int) -> Checkpoints:
    checkpoints = Checkpoints(uri, "preliminary of run r")
    for epoch in range(1, epochs + 1):
        checkpoints.store(replace(FIRST, epoch=epoch), MODEL)
    return checkpoints


def newest_epoch(checkpoints: Checkpoints, model: keras.Model = MODEL) -> int | None:
    found = checkpoints.newest(model)
    return found.epoch if found else None


def test_checkpoints_are_none_at_the_start(place: str) -> None:
    assert newest_epoch(Checkpoints(place, "preliminary of run r")) is None


def test_checkpoints_keep_the_two_newest(place: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    checkpoints = stored(place, epochs=11)
    assert sorted(storage.sizes(place)) == ["epoch-00010.npz", "epoch-00011.npz"]
    assert newest_epoch(checkpoints) == 11
    assert f"resuming preliminary of run r after epoch 11, since {place}" in caplog.text


def test_checkpoints_fall_back_from_a_damaged_one(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = stored(place, epochs=3)
    uri = storage.join(place, "epoch-00003.npz")
    storage.put(uri, storage.read(uri)[:-1])
    assert newest_epoch(checkpoints) == 2
    assert f"{uri} is not used: its digest does not hold" in caplog.text
    storage.put(storage.join(place, "epoch-00002.npz"), b"")
    assert newest_epoch(checkpoints) is None


def test_checkpoints_of_another_training_are_refused(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored(place, epochs=1)
    assert newest_epoch(Checkpoints(place, "optimised of run r")) is None
    assert newest_epoch(Checkpoints(place, "preliminary of run r"), OTHER) is None
    assert "it is of preliminary of run r, 20 variables" in caplog.text


def test_checkpoints_are_cleared_with_their_folder(place: str) -> None:
    checkpoints = stored(place, epochs=3)
    checkpoints.clear()
    checkpoints.clear()
    assert storage.list_folders(storage.parent(place)) == []


def test_checkpoints_leave_a_file_that_is_not_theirs(tmp_path: Path) -> None:
    checkpoints = stored(str(tmp_path), epochs=1)
    half = tmp_path / ".epoch-00002.npz.abcdefgh.nsynth-part"
    half.write_bytes(b"half of one")
    assert newest_epoch(checkpoints) == 1
    checkpoints.clear()
    assert [path.name for path in tmp_path.iterdir()] == [half.name]
