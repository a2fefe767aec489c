from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import ConfigError, DatasetError
from pipelines.experiment import Experiment
from pipelines.notes import FAMILIES
from pipelines.registry.runs import HISTORY_COLUMNS
from pipelines.train.fitting.callbacks import EpochCallback
from pipelines.train.fitting.checkpoints import Checkpoints, digest_arrays, read_weights
from pipelines.train.fitting.fit import Trained, explain_memory_errors, fit, init_model
from pipelines.train.model import backend
from pipelines.train.samples.batches import Batches, Notes
from tests.pipelines.train.tiny import tone

EXPERIMENT = Experiment(epochs=2, batch_size=4)
NUM_SAMPLES = 1_000


@pytest.fixture(scope="module")
def notes() -> Notes:
    labels = np.arange(8) % 2
    tones = [tone(number, FAMILIES[label]) for number, label in enumerate(labels)]
    # An eighth of a note trains faster.
    audio = np.stack(tones)[:, :NUM_SAMPLES]
    return Notes(audio, np.arange(8), labels)


def part(notes: Notes, rows: slice) -> Notes:
    return Notes(notes.audio, notes.rows[rows], notes.labels[rows])


def trained(notes: Notes, **changes: Any) -> Trained:
    experiment = replace(EXPERIMENT, **changes)
    return fit("preliminary", experiment, part(notes, slice(6)), part(notes, slice(6, 8)))


def test_fit_tells_each_epoch_and_keeps_its_figures(notes: Notes) -> None:
    heard: list[tuple[str, int, int]] = []

    def on_epoch(name: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
        assert set(logs) == set(HISTORY_COLUMNS)
        heard.append((name, epoch, epochs))

    history = fit(
        "preliminary", EXPERIMENT, part(notes, slice(6)), notes, on_epoch=on_epoch
    ).history
    assert heard == [("preliminary", 1, 2), ("preliminary", 2, 2)]
    assert history["epoch"] == [1, 2]
    assert {column: len(values) for column, values in history.items()} == dict.fromkeys(
        HISTORY_COLUMNS, 2
    )


def test_fit_gives_the_same_model_for_the_same_seed(notes: Notes) -> None:
    first, again, other = (
        digest_arrays(read_weights(trained(notes, epochs=1, seed=seed).model)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


class KilledError(Exception):
    """In the place of a kill; `tests.train.kill` has real ones."""


def interrupted(notes: Notes, checkpoints: Checkpoints, *, after: int) -> None:
    """Trains until an epoch has ended, whose checkpoint is not stored yet."""

    def on_epoch(name: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
        if epoch == after:
            raise KilledError

    experiment = replace(EXPERIMENT, epochs=3)
    with pytest.raises(KilledError):
        fit("preliminary", experiment, notes, notes, on_epoch=on_epoch, checkpoints=checkpoints)


@pytest.fixture(scope="module")
def whole(notes: Notes) -> Trained:
    return fit("preliminary", replace(EXPERIMENT, epochs=3), notes, notes)


@pytest.mark.parametrize("after", [2, 3])
def test_fit_resumes_to_the_same_model(
    notes: Notes, whole: Trained, tmp_path: Path, after: int
) -> None:
    checkpoints = Checkpoints(str(tmp_path), "preliminary")
    interrupted(notes, checkpoints, after=after)
    experiment = replace(EXPERIMENT, epochs=3)
    again = fit("preliminary", experiment, notes, notes, checkpoints=checkpoints)
    assert again.resumed_after == after - 1
    assert digest_arrays(read_weights(again.model)) == digest_arrays(read_weights(whole.model))
    assert digest_arrays(again.best) == digest_arrays(whole.best)
    for column in set(HISTORY_COLUMNS) - {"seconds"}:
        assert again.history[column] == whole.history[column]


def test_fit_from_the_last_checkpoint_trains_no_more(notes: Notes, tmp_path: Path) -> None:
    checkpoints = Checkpoints(str(tmp_path), "preliminary")
    done = fit("preliminary", EXPERIMENT, notes, notes, checkpoints=checkpoints)
    again = fit("preliminary", EXPERIMENT, notes, notes, checkpoints=checkpoints)
    assert again.resumed_after == EXPERIMENT.epochs
    assert again.history == done.history
    assert digest_arrays(read_weights(again.model)) == digest_arrays(read_weights(done.model))


def test_fit_keeps_the_weights_of_the_lowest_validation_loss(notes: Notes) -> None:
    # Validated with labels that training never sees, it gets worse the more it learns.
    wrong = Notes(notes.audio, notes.rows, notes.labels + 5)
    worse = fit("preliminary", replace(EXPERIMENT, epochs=4, learning_rate=0.01), notes, wrong)
    losses = worse.history["val_loss"]
    assert losses[worse.best_epoch - 1] == min(losses)
    assert worse.best_epoch < 4
    shorter = fit(
        "preliminary",
        replace(EXPERIMENT, epochs=worse.best_epoch, learning_rate=0.01),
        notes,
        wrong,
    )
    assert digest_arrays(worse.best) == digest_arrays(read_weights(shorter.model))


def test_fit_stores_no_checkpoint_of_a_broken_epoch(notes: Notes, tmp_path: Path) -> None:
    audio = np.concatenate([notes.audio, np.full((1, NUM_SAMPLES), np.nan, np.float32)])
    broken = Notes(audio, np.array([*range(7), 8]), notes.labels)
    with pytest.raises(DatasetError, match=r"(became nan in|is not finite after) epoch 1"):
        fit(
            "preliminary",
            EXPERIMENT,
            broken,
            notes,
            checkpoints=Checkpoints(str(tmp_path), "preliminary"),
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(backend.NAME == "jax", reason="XLA's softmax hides what is not a number")
def test_fit_names_the_batch_whose_loss_is_not_finite(notes: Notes) -> None:
    audio = np.concatenate([notes.audio, np.full((1, NUM_SAMPLES), np.nan, np.float32)])
    broken = Notes(audio, np.array([*range(7), 8]), notes.labels)
    batches = Batches(broken, batch_size=2, seed=EXPERIMENT.seed)
    batch = 1 + [bool(np.isnan(batches[index][0]).any()) for index in range(4)].index(True)
    with pytest.raises(DatasetError, match=f"became nan in epoch 1, batch {batch}, with"):
        fit("preliminary", replace(EXPERIMENT, batch_size=2), broken, notes)


def test_fit_trains_on_every_note_of_an_epoch(notes: Notes) -> None:
    # With a learning rate of almost nothing, the mean loss is that of the untrained model, in
    # whatever order and batches the notes come.
    small, large = (
        trained(notes, learning_rate=1e-12, batch_size=size).history["loss"] for size in (4, 6)
    )
    assert small == pytest.approx([large[0]] * 2, rel=1e-5)


def test_an_epoch_with_too_few_batches_is_refused(notes: Notes) -> None:
    batches = Batches(notes, batch_size=4, seed=0)
    callback = EpochCallback("preliminary", EXPERIMENT, batches, num_notes=9)
    callback.set_model(init_model("preliminary", EXPERIMENT, num_samples=50))
    callback.on_epoch_begin(0)
    for batch in range(2):
        callback.on_train_batch_end(batch, {"loss": 1.0})
    with pytest.raises(DatasetError, match="had 2 batches, expected 3 of 4 notes"):
        callback.on_epoch_end(0, {"val_loss": 1.0})


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
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 12 bytes"),
    ],
)
def test_memory_explained_gives_advice_in_one_sentence(error: Exception) -> None:
    with (
        pytest.raises(
            ConfigError, match=r"with batches of 512 on .* choose a smaller --batch-size"
        ),
        explain_memory_errors("optimised", 512),
    ):
        raise error


def test_memory_explained_leaves_other_errors_alone() -> None:
    with pytest.raises(RuntimeError, match="another"), explain_memory_errors("optimised", 512):
        raise RuntimeError("another")
