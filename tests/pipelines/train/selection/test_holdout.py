from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.dataset import open_dataset
from pipelines.experiment import Experiment
from pipelines.registry.holdout import Holdout, current_holdout
from pipelines.train.selection.holdout import HoldoutMode, swap_with_validation
from pipelines.train.selection.run_notes import load_trained_notes
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.train.selection.split import Indices
from pipelines.validate.verdicts import Validation, validate
from tests.pipelines.datasets import row, store
from tests.pipelines.train.tiny import commit_notes, training_reasons, training_rows

# Each note of these is of an instrument of its own.
TRAIN = [(number, family) for number in range(20) for family in ("bass", "organ", "vocal")]
VALID = [(100, "bass"), (101, "organ"), (102, "vocal"), (103, "bass")]
TEST = [(200, "bass"), (201, "organ"), (202, "vocal"), (1, "organ")]
# Later data: new notes, and half of the old ones.
LATER = [
    *TRAIN[::2],
    *((number, family) for number in range(50, 60) for family in ("bass", "organ")),
]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Validation]:
    root = tmp_path_factory.mktemp("data")
    named = {"train": TRAIN, "valid": VALID, "test": TEST, "later": LATER}
    return {side: validate(commit_notes(root, side, notes)) for side, notes in named.items()}


def planned(
    sides: dict[str, Validation],
    root: Path,
    gating: HoldoutMode,
    *,
    protocol: str = "reference",
    train: str = "train",
    seed: int = 0,
) -> RunPlan:
    return plan_run(
        train=sides[train],
        valid=sides["valid"] if protocol == "official" else None,
        test=None if protocol == "grouped" else sides["test"],
        experiment=Experiment(models=("preliminary",), protocol=protocol, seed=seed),
        root=str(root),
        backend="tensorflow",
        holdout_mode=gating,
    )


def gate_under(root: Path) -> Holdout:
    found = current_holdout(str(root))
    assert found is not None
    return found


def num_gated(plan: RunPlan, gate: Holdout, rows: Indices) -> int:
    columns = ["audio_digest", "instrument_str"]
    notes = open_dataset(plan.train.manifest_uri).read(columns).take(rows)
    return int(gate.holds(*(notes[name].to_pylist() for name in columns)).sum())


def test_first_reference_run_is_the_one_without_a_gate(
    sides: dict[str, Validation], tmp_path: Path
) -> None:
    without = planned(sides, tmp_path, "off")
    assert current_holdout(str(tmp_path)) is None
    first, again = (planned(sides, tmp_path, "freeze") for _ in range(2))
    assert without == first == again
    train, validation = training_rows(first)
    gate = gate_under(tmp_path)
    assert gate.notes["row"].to_pylist() == validation.tolist()
    assert not gate.holds_instruments
    assert num_gated(first, gate, train) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_later_reference_run_trains_on_as_many_notes_and_none_of_the_gate(
    sides: dict[str, Validation], tmp_path: Path, seed: int
) -> None:
    first = planned(sides, tmp_path, "freeze")
    gate = gate_under(tmp_path)
    free = planned(sides, tmp_path, "off", seed=seed)
    gated = planned(sides, tmp_path, "freeze", seed=seed)
    assert num_gated(free, gate, training_rows(free)[0]) > 0
    assert gated.run_id != free.run_id
    assert gated.holdout == gate.digest
    train, validation = training_rows(gated)
    assert num_gated(gated, gate, train) == 0
    assert sorted([*train, *validation]) == sorted(np.concatenate(training_rows(free)))
    families = np.array([family for _, family in TRAIN])
    for family in ("bass", "organ", "vocal"):
        as_first = families[training_rows(first)[0]]
        assert (families[train] == family).sum() == (as_first == family).sum()
    assert gated.train == free.train
    rows = gate.notes["row"].to_pylist()
    assert [row for row, reason in enumerate(training_reasons(gated)) if reason == "gate"] == rows


def test_run_on_later_data_trains_on_no_note_of_the_gate(
    sides: dict[str, Validation], tmp_path: Path
) -> None:
    planned(sides, tmp_path, "freeze")
    later = planned(sides, tmp_path, "respect", train="later")
    gate, (train, validation) = gate_under(tmp_path), training_rows(later)
    assert num_gated(later, gate, train) == 0
    assert 0 < num_gated(later, gate, validation) < gate.notes.num_rows


def test_respect_makes_no_gate(sides: dict[str, Validation], tmp_path: Path) -> None:
    assert planned(sides, tmp_path, "respect") == planned(sides, tmp_path, "off")
    assert current_holdout(str(tmp_path)) is None


def test_official_gate_is_of_instruments_that_neither_train_nor_validate(
    sides: dict[str, Validation], tmp_path: Path
) -> None:
    free = planned(sides, tmp_path, "off", protocol="official")
    first, again = (planned(sides, tmp_path, "freeze", protocol="official") for _ in range(2))
    assert first == again
    assert first.run_id != free.run_id
    gate = gate_under(tmp_path)
    assert gate.holds_instruments
    families = gate.notes["instrument_family_str"].to_pylist()
    assert {family: families.count(family) for family in set(families)} == {
        "bass": 2,
        "organ": 2,
        "vocal": 2,
    }
    train, _ = training_rows(first)
    assert num_gated(first, gate, train) == 0
    assert len(train) == len(training_rows(free)[0]) - 6
    assert training_reasons(first).count("gate") == first.train.dropped["gate"] == 6
    assert first.train.num_kept == free.train.num_kept - 6
    assert first.valid == free.valid


def test_official_gate_keeps_notes_of_its_instruments_out_of_validation_too(
    sides: dict[str, Validation], tmp_path: Path
) -> None:
    planned(sides, tmp_path, "freeze", protocol="official")
    name = next(
        name for name in gate_under(tmp_path).notes["instrument_str"].to_pylist() if "bass" in name
    )
    rows = [row(300, instrument_str=name, note_str=f"{name}-020-100"), *map(row, (310, 321, 332))]
    valid = validate(store(tmp_path / "other", rows, notes_per_shard=9))
    plan = planned(sides | {"valid": valid}, tmp_path, "freeze", protocol="official")
    assert plan.valid is not None
    assert plan.valid.dropped == {"gate": 1}
    _, validation = training_rows(plan)
    assert validation.tolist() == [1, 2, 3]


def test_official_makes_no_gate_where_no_instrument_can_be_held_out(
    sides: dict[str, Validation], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few = validate(commit_notes(tmp_path, "few", [(0, "bass"), (1, "organ"), (2, "vocal")]))
    plan = planned(sides | {"train": few}, tmp_path, "freeze", protocol="official")
    assert current_holdout(str(tmp_path)) is None
    assert plan.holdout is None
    assert "there is no gate, and nothing will be promoted by itself" in caplog.text


def test_grouped_knows_no_gate(sides: dict[str, Validation], tmp_path: Path) -> None:
    planned(sides, tmp_path, "freeze")
    free = planned(sides, tmp_path, "off", protocol="grouped")
    gated = planned(sides, tmp_path, "freeze", protocol="grouped")
    assert free == gated


@given(
    labels=st.lists(st.integers(0, 3), min_size=4, max_size=60),
    share=st.floats(0.2, 0.8),
    seed=st.integers(0, 9),
    data=st.data(),
)
def test_swap_with_validation_keeps_all_notes_and_no_gated_one_trains(
    labels: list[int], share: float, seed: int, data: st.DataObject
) -> None:
    of = np.array(labels, np.int64)
    order = np.random.default_rng(seed).permutation(len(of))
    cut = round(share * len(of))
    train, validation = np.sort(order[:cut]), np.sort(order[cut:])
    gated = np.array(sorted(data.draw(st.sets(st.sampled_from(range(len(of)))))), np.int64)
    trains, validates = swap_with_validation(of, train, validation, held_out=gated, seed=seed)
    assert sorted([*trains, *validates]) == list(range(len(of)))
    assert not np.isin(trains, gated).any()
    assert (np.diff(trains) > 0).all()
    for label in range(4):
        before, after = (int((of[rows] == label).sum()) for rows in (train, trains))
        free = int((of[validation[~np.isin(validation, gated)]] == label).sum())
        left = int((of[train[np.isin(train, gated)]] == label).sum())
        assert after == before - max(0, left - free)
    again = swap_with_validation(of, train, validation, held_out=gated, seed=seed)
    assert all(np.array_equal(*pair) for pair in zip(again, (trains, validates), strict=True))


def test_trained_notes_are_told_apart_by_part(sides: dict[str, Validation], tmp_path: Path) -> None:
    plan = planned(sides, tmp_path, "off", protocol="official")
    train, validation = training_rows(plan)
    found = load_trained_notes(plan.model_uri("preliminary"))
    assert found["dataset"].to_pylist() == ["train"] * len(train) + ["valid"] * len(validation)
    assert found["part"].to_pylist() == ["train"] * len(train) + ["valid"] * len(validation)
    assert found["row"].to_pylist() == [*train, *validation]
    assert found["instrument_str"][-1].as_py() == "bass_acoustic_103"
