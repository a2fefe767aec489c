from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.errors import ConfigError
from pipelines.experiment import Experiment
from pipelines.train.fitting.fit import fit
from pipelines.train.model import backend
from pipelines.train.samples.batches import (
    PLACES,
    VARIABLE,
    Batches,
    Notes,
    best_place,
    gather,
    place_samples,
    prefetch_rows,
)
from pipelines.train.samples.cache import SampleFile
from tests.pipelines.datasets import samples

ROWS = np.array([4, 0, 4, 6])


@pytest.fixture
def audio(tmp_path: Path) -> SampleFile:
    samples(7).tofile(tmp_path / "audio")
    with (tmp_path / "audio").open("rb") as file:
        return SampleFile(file, 7, 8_000)


@pytest.mark.parametrize("place", PLACES)
def test_take_gives_the_same_samples_from_every_place(
    place: str, audio: SampleFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, place)
    taken = gather(place_samples(audio), ROWS)
    np.testing.assert_array_equal(backend.keras.ops.convert_to_numpy(taken), samples(7)[ROWS])


@pytest.mark.parametrize("place", PLACES)
def test_settle_says_where_samples_are_and_puts_them_there(
    place: str,
    audio: SampleFile,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "pipelines")
    monkeypatch.setenv(VARIABLE, place)
    settled = place_samples(audio)
    assert caplog.messages == [f"samples of 7 notes, 0.000224 GB: {PLACES[place]}"]
    assert isinstance(settled, np.ndarray) is (place == "memory")
    assert isinstance(settled, SampleFile) is (place == "map")


@pytest.mark.skipif(not backend.on_cpu(), reason="on a GPU they stay there")
def test_settle_takes_memory_where_there_is_no_device(audio: SampleFile) -> None:
    assert isinstance(place_samples(audio), np.ndarray)


@pytest.mark.parametrize(
    ("device", "memory", "expected"),
    [
        (200, 200, "device"),
        (199, 200, "memory"),
        (None, 200, "memory"),
        (None, 199, "map"),
        (0, 0, "map"),
        (None, None, "map"),
    ],
)
def test_best_place_leaves_half_to_the_model(
    device: int | None, memory: int | None, expected: str
) -> None:
    assert best_place(100, {"device": device, "memory": memory}) == expected


def test_settle_refuses_a_place_that_there_is_not(
    audio: SampleFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "disk")
    with pytest.raises(ConfigError, match="must be one of device, memory, map, got 'disk'"):
        place_samples(audio)


def test_settle_refuses_a_place_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "memory")
    # 320 TB that nobody ever touches.
    huge = np.broadcast_to(np.zeros((1, 8000), np.float32), (10**10, 8000))
    with pytest.raises(ConfigError, match=r"NSYNTH_SAMPLES=memory needs 3\.2e\+05 GB, where"):
        place_samples(huge)


def test_foresee_reads_no_further_than_the_file(audio: SampleFile) -> None:
    prefetch_rows(audio, np.array([6, 0]))
    prefetch_rows(audio, np.array([], int))
    prefetch_rows(np.array(audio), np.array([10**9]))


def test_batches_prefetch_the_batch_after_the_next(
    audio: SampleFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[list[int]] = []
    monkeypatch.setattr(audio, "prefetch", lambda rows: fetched.append(rows.tolist()))
    batches = Batches(Notes(audio, np.arange(7), np.arange(7)), batch_size=2)
    assert batches[0][0].shape == (2, 8000, 1)
    batches[1]
    assert fetched == [[4, 5], [6]]


@pytest.mark.parametrize("rows", [[7], [10**9], [0, -1]])
def test_rows_that_there_are_not_are_refused(audio: SampleFile, rows: list[int]) -> None:
    with pytest.raises(IndexError, match="rows must be from 0 to 6"):
        prefetch_rows(audio, np.array(rows))
    with pytest.raises(IndexError, match="rows must be from 0 to 6"):
        gather(audio, np.array(rows))


def test_fit_gives_the_same_weights_wherever_samples_are(
    audio: SampleFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = list[list[NDArray[np.float32]]]()
    for place in PLACES:
        monkeypatch.setenv(VARIABLE, place)
        notes = Notes(place_samples(audio), np.arange(7), np.arange(7) % 2)
        trained = fit("preliminary", Experiment(epochs=1, batch_size=4), notes, notes)
        weights.append(trained.model.get_weights())
    for first, *others in zip(*weights, strict=True):
        for other in others:
            np.testing.assert_array_equal(first, other)
