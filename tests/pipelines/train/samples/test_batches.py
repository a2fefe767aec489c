from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.train.model.backend import keras
from pipelines.train.samples.batches import Batches, Notes, epoch_order

NOTES = Notes(
    audio=np.repeat(np.arange(20, dtype=np.float32)[:, np.newaxis], 8000, axis=1),
    rows=np.array([3, 5, 7, 11, 13, 17, 19]),
    labels=np.array([0, 1, 2, 3, 4, 5, 6]),
)


@given(num=st.integers(0, 500), seed=st.integers(0, 2**32 - 1), epoch=st.integers(0, 1000))
def test_epoch_order_is_a_permutation_of_its_arguments_alone(
    num: int, seed: int, epoch: int
) -> None:
    order = epoch_order(num, seed=seed, epoch=epoch)
    assert sorted(order) == list(range(num))
    np.testing.assert_array_equal(order, epoch_order(num, seed=seed, epoch=epoch))


def test_epoch_order_is_the_same_for_ever() -> None:
    assert epoch_order(10, seed=0, epoch=0).tolist() == [3, 2, 1, 8, 6, 0, 7, 4, 5, 9]
    assert epoch_order(10, seed=1, epoch=2).tolist() == [5, 6, 9, 3, 2, 1, 0, 8, 4, 7]


def test_epoch_order_prefers_no_permutation() -> None:
    counts = Counter(tuple(epoch_order(3, seed=0, epoch=epoch)) for epoch in range(6000))
    # Six permutations, each 1000 times but for chance, whose spread is 29.
    assert len(counts) == 6
    assert all(abs(count - 1000) < 150 for count in counts.values())


def test_epoch_order_mixes_the_whole_data_set() -> None:
    # In a window that moves over sorted data, as a shuffle buffer is, neighbours stay near.
    first_batch = epoch_order(100_000, seed=0, epoch=0)[:2000]
    deciles = np.bincount(first_batch // 10_000, minlength=10)
    assert all(abs(deciles - 200) < 80)


def rows_of(batches: Batches) -> NDArray[np.float32]:
    return np.concatenate([batches[i][0][:, 0, 0] for i in range(batches.num_batches)])


def test_batches_without_a_seed_keep_the_order() -> None:
    batches = Batches(NOTES, batch_size=3)
    assert [batches[i][0].shape for i in range(batches.num_batches)] == [
        (3, 8000, 1),
        (3, 8000, 1),
        (1, 8000, 1),
    ]
    assert rows_of(batches).tolist() == NOTES.rows.tolist()
    assert [str(part.dtype) for part in batches[0]] == ["float32", "int64"]


def test_batches_give_every_note_once_an_epoch_with_its_label() -> None:
    batches = Batches(NOTES, batch_size=2, seed=1)
    label_of = dict(zip(NOTES.rows.tolist(), NOTES.labels.tolist(), strict=True))
    for index in range(batches.num_batches):
        audio, labels = batches[index]
        assert [label_of[int(row)] for row in audio[:, 0, 0]] == labels.tolist()
    assert sorted(rows_of(batches)) == NOTES.rows.tolist()


def test_start_epoch_depends_on_seed_and_epoch_alone() -> None:
    batches, late = (Batches(NOTES, batch_size=2, seed=1) for _ in range(2))
    orders = []
    for epoch in range(4):
        batches.start_epoch(epoch)
        orders.append(rows_of(batches).tolist())
    late.start_epoch(3)
    assert rows_of(late).tolist() == orders[3]
    assert len({tuple(order) for order in orders}) == 4
    assert rows_of(Batches(NOTES, batch_size=2, seed=2)).tolist() != orders[0]


class Heard(keras.Model):  # type: ignore[misc] # Keras ships no types
    """A model that answers with the number of the note, which is its every sample."""

    def call(self, audio: Any) -> Any:
        return keras.ops.mean(audio, axis=1)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
@pytest.mark.parametrize("seed", [None, 5])
def test_predict_takes_every_note_in_the_order_of_batches(
    batch_size: int, seed: int | None
) -> None:
    batches = Batches(NOTES, batch_size=batch_size, seed=seed)
    heard = Heard().predict(batches, verbose=0)
    np.testing.assert_allclose(heard[:, 0], rows_of(batches))
