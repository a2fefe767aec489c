"""Properties of folds, with scikit-learn's and a plain search as oracles."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipelines.errors import DatasetError
from pipelines.train.selection.split import assign_folds, draw_groups, group_notes, split_groups

NOTES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=60)
"""Instrument and waveform of each note."""


def reached(notes: list[tuple[int, int]], first: int) -> set[int]:
    """The notes that a walk over shared instruments and waveforms comes to; obvious and slow."""
    found, queue = {first}, [first]
    while queue:
        instrument, wave = notes[queue.pop()]
        for number, other in enumerate(notes):
            if number not in found and (other[0] == instrument or other[1] == wave):
                found.add(number)
                queue.append(number)
    return found


@given(NOTES)
def test_groups_of_are_what_instruments_and_waveforms_connect(notes: list[tuple[int, int]]) -> None:
    instruments, waves = (np.array(column).astype(str) for column in zip(*notes, strict=True))
    groups = group_notes(instruments, waves)
    for number in range(len(notes)):
        assert set(np.flatnonzero(groups == groups[number]).tolist()) == reached(notes, number)
    assert set(groups.tolist()) == set(range(groups.max() + 1))


def sized(sizes: dict[int, list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups of families whose instruments have these numbers of notes."""
    labels, groups = list[int](), list[int]()
    for label, instruments in sizes.items():
        for size in instruments:
            group = max(groups, default=-1) + 1
            labels += [label] * size
            groups += [group] * size
    return np.array(labels), np.array(groups)


SIZES = st.dictionaries(
    st.integers(0, 9), st.lists(st.integers(1, 8), min_size=3, max_size=6), min_size=2, max_size=4
)


@given(SIZES, st.integers(0, 2**32 - 1))
def test_folds_score_each_note_once_and_leave_each_family_something(
    sizes: dict[int, list[int]], seed: int
) -> None:
    labels, groups = sized(sizes)
    try:
        found = assign_folds(labels, groups, seed=seed)
    except DatasetError:
        assume(False)
    assert set(found.tolist()) <= {0, 1, 2}
    where = defaultdict(set)
    for group, fold in zip(groups.tolist(), found.tolist(), strict=True):
        where[group].add(fold)
    assert all(len(of) == 1 for of in where.values())
    for fold in range(3):
        assert set(labels[found != fold]) == set(labels)


@given(SIZES, st.floats(0.1, 0.5), st.integers(0, 2**32 - 1))
def test_hold_out_takes_whole_groups_and_no_whole_family(
    sizes: dict[int, list[int]], fraction: float, seed: int
) -> None:
    labels, groups = sized(sizes)
    try:
        train, held = split_groups(labels, groups, fraction=fraction, seed=seed)
    except DatasetError:
        assume(False)
    assert sorted([*train, *held]) == list(range(len(labels)))
    assert not set(groups[train]) & set(groups[held])
    assert set(labels[train]) == set(labels)


def test_hold_out_returns_a_family_of_one_instrument_to_training() -> None:
    labels, groups = sized({0: [4], 1: [4, 4, 4, 4]})
    for seed in range(10):
        train, _ = split_groups(labels, groups, fraction=0.5, seed=seed)
        assert (labels[train] == 0).sum() == 4


def test_hold_out_refuses_what_cannot_be_held_out() -> None:
    labels, groups = sized({0: [4], 1: [4]})
    with pytest.raises(DatasetError, match="add instruments"):
        split_groups(labels, groups, fraction=0.5, seed=0)


def test_folds_refuse_a_family_of_one_instrument() -> None:
    labels, groups = sized({0: [9], 1: [3, 3, 3]})
    with pytest.raises(DatasetError, match="bass are of one instrument"):
        assign_folds(labels, groups, seed=0)


def test_folds_refuse_fewer_groups_than_folds() -> None:
    labels, groups = sized({1: [3, 3]})
    with pytest.raises(DatasetError, match="cannot make 3 folds"):
        assign_folds(labels, groups, seed=0)


def test_folds_follow_from_the_seed() -> None:
    labels, groups = sized({0: [3] * 8, 1: [3] * 8})
    assert np.array_equal(
        assign_folds(labels, groups, seed=1), assign_folds(labels, groups, seed=1)
    )
    assert any(
        not np.array_equal(
            assign_folds(labels, groups, seed=0), assign_folds(labels, groups, seed=seed)
        )
        for seed in range(1, 9)
    )


@given(
    sizes=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=8), min_size=2, max_size=10),
    fraction=st.floats(0.05, 0.5),
    seed=st.integers(0, 9),
)
def test_draw_groups_takes_a_fraction_of_each_family_and_leaves_some(
    sizes: list[list[int]], fraction: float, seed: int
) -> None:
    # Groups of these sizes, by family.
    labels = np.repeat(np.arange(len(sizes)), [sum(of) for of in sizes])
    flat = [size for of in sizes for size in of]
    groups = np.repeat(np.arange(len(flat)), flat)
    assume(any(len(of) > 1 for of in sizes))
    drawn = draw_groups(labels, groups, fraction=fraction, seed=seed)
    rest = np.setdiff1d(np.arange(len(labels)), drawn)
    assert not set(groups[drawn]) & set(groups[rest])
    for label, of in enumerate(sizes):
        num_drawn, own = (
            int((labels[drawn] == label).sum()),
            set(groups[rest][labels[rest] == label]),
        )
        assert own
        # One group is left where the fraction asks for more than all others hold.
        assert num_drawn >= fraction * sum(of) or len(own) == 1
        if len(of) == 1:
            assert num_drawn == 0
    again = draw_groups(labels, groups, fraction=fraction, seed=seed)
    np.testing.assert_array_equal(drawn, again)


def test_draw_groups_never_takes_all_of_a_family_with_a_shared_waveform() -> None:
    # The first two instruments share one: they are one group, and all of class 0.
    labels, groups = np.array([0, 0, 1, 1, 1, 2, 2]), np.array([0, 0, 0, 1, 2, 3, 4])
    drawn = draw_groups(labels, groups, fraction=0.9, seed=0)
    assert 0 not in groups[drawn]
    assert {1, 2} == set(labels[drawn])


def test_draw_groups_says_when_nothing_can_be_spared() -> None:
    with pytest.raises(DatasetError, match="no instrument of the 3 notes can be kept out"):
        draw_groups(np.array([0, 1, 2]), np.array([0, 1, 2]), fraction=0.1, seed=0)
