from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipelines.errors import ConfigError, DatasetError
from pipelines.notes import FAMILIES, NUM_SAMPLES
from pipelines.train import backend
from pipelines.train.batches import Notes
from pipelines.train.experiment import Experiment
from pipelines.train.fit import HISTORY_COLUMNS, fit, memory_explained
from tests.pipelines.train.tiny import tone

EXPERIMENT = Experiment(epochs=2, batch_size=4)


@pytest.fixture(scope="module")
def notes() -> Notes:
    labels = np.arange(8) % 2
    audio = np.stack([tone(number, FAMILIES[label]) for number, label in enumerate(labels)])
    return Notes(audio, np.arange(8), labels)


def part(notes: Notes, rows: slice) -> Notes:
    return Notes(notes.audio, notes.rows[rows], notes.labels[rows])


def trained(notes: Notes, **changes: Any) -> Any:
    experiment = replace(EXPERIMENT, **changes)
    return fit("preliminary", experiment, part(notes, slice(6)), part(notes, slice(6, 8)))


def test_fit_tells_each_epoch_and_keeps_its_figures(notes: Notes) -> None:
    heard: list[tuple[str, int, int]] = []

    def on_epoch(name: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
        assert set(logs) == set(HISTORY_COLUMNS)
        heard.append((name, epoch, epochs))

    _, history = fit("preliminary", EXPERIMENT, part(notes, slice(6)), notes, on_epoch)
    assert heard == [("preliminary", 1, 2), ("preliminary", 2, 2)]
    assert history["epoch"] == [1, 2]
    assert {column: len(values) for column, values in history.items()} == dict.fromkeys(
        HISTORY_COLUMNS, 2
    )


def test_fit_gives_the_same_model_for_the_same_seed(notes: Notes) -> None:
    (first, _), (again, _), (other, _) = (trained(notes, epochs=1, seed=s) for s in (1, 1, 2))
    for mine, yours in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, yours)
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


def test_fit_trains_on_every_note_of_an_epoch(notes: Notes) -> None:
    # With a learning rate of almost nothing, the mean loss is that of the untrained model, in
    # whatever order and batches the notes come.
    small, large = (
        trained(notes, learning_rate=1e-12, batch_size=size)[1]["loss"] for size in (4, 6)
    )
    assert small == pytest.approx([large[0]] * 2, rel=1e-5)


def test_fit_stops_where_the_loss_is_not_finite(notes: Notes) -> None:
    broken = Notes(np.full((8, NUM_SAMPLES), np.nan, np.float32), notes.rows, notes.labels)
    with pytest.raises(DatasetError, match=r"(became nan in|is not finite after) epoch 1.*; lower"):
        fit("preliminary", EXPERIMENT, broken, notes)


@pytest.mark.skipif(backend.NAME == "jax", reason="XLA's softmax hides what is not a number")
def test_fit_stops_where_the_validation_loss_is_not_finite(notes: Notes) -> None:
    broken = Notes(np.full((8, NUM_SAMPLES), np.nan, np.float32), notes.rows, notes.labels)
    with pytest.raises(DatasetError, match=r"became nan in the validation of epoch 1"):
        fit("preliminary", EXPERIMENT, notes, broken)


class ResourceExhaustedError(Exception):
    """As TensorFlow names it."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("failed to allocate"),
        RuntimeError("RESOURCE_EXHAUSTED: attempting to allocate 12 GiB"),
        RuntimeError("CUDA out of memory. Tried to allocate 12 GiB"),
    ],
)
def test_memory_explained_gives_advice_in_one_sentence(error: Exception) -> None:
    with (
        pytest.raises(
            ConfigError, match=r"with batches of 512 on .* choose a smaller --batch-size"
        ),
        memory_explained("optimised", 512),
    ):
        raise error


def test_memory_explained_leaves_other_errors_alone() -> None:
    with pytest.raises(RuntimeError, match="another"), memory_explained("optimised", 512):
        raise RuntimeError("another")
