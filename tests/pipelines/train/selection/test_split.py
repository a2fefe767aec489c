import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DatasetError
from pipelines.notes import FAMILIES
from pipelines.train.selection.split import NO_LABEL, class_labels, split


def test_labels_of_moves_up_what_stands_behind_synth_lead() -> None:
    families = np.array([0, 8, FAMILIES.index("synth_lead"), FAMILIES.index("vocal"), 42])
    assert class_labels(families).tolist() == [0, 8, NO_LABEL, 9, NO_LABEL]


@given(
    counts=st.lists(st.integers(6, 40), min_size=2, max_size=10),
    fraction=st.floats(0.25, 0.75),
    seed=st.integers(0, 2**32 - 1),
)
def test_split_parts_each_class_alike(counts: list[int], fraction: float, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    train, validation = split(labels, fraction, seed)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    for label, count in enumerate(counts):
        # Two roundings: the whole share's, and that of the class.
        assert abs(np.count_nonzero(labels[validation] == label) - count * fraction) < 2


def test_split_follows_its_seed() -> None:
    labels = np.arange(100) % 10
    first, again, other = (split(labels, 0.33, seed)[0].tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("labels", "fraction", "message"),
    [
        ([], 0.33, "no notes are left to train on"),
        ([9, 9, 9], 0.33, "all 3 notes left to train on are vocal; expected two classes at least"),
        ([0, 0, 1, 2], 0.33, "one note only is left of brass, flute"),
        ([0, 0, 1, 1], 0.1, "cannot split 4 notes of 2 classes with a validation fraction of 0.1"),
    ],
)
def test_split_refuses_what_cannot_be_split(
    labels: list[int], fraction: float, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        split(np.array(labels, np.int64), fraction, 0)
