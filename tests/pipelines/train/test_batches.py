import numpy as np
from numpy.typing import NDArray

from pipelines.train.batches import Batches, Notes

NOTES = Notes(
    audio=np.repeat(np.arange(20, dtype=np.float32)[:, np.newaxis], 8000, axis=1),
    rows=np.array([3, 5, 7, 11, 13, 17, 19]),
    labels=np.array([0, 1, 2, 3, 4, 5, 6]),
)


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
