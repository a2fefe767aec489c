from pathlib import Path

import pytest

from pipelines.train.selection.notes import scorable_notes
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import validate
from tests.pipelines.datasets import Row, row, store
from tests.pipelines.train.conftest import EXPERIMENT
from tests.pipelines.train.tiny import training_rows

NUM_TRAIN = 40


def note(number: int, instrument: int) -> Row:
    """Another note for each number; the family follows from the instrument."""
    played, pitch = row(instrument), 20 + number
    name = f"{played['instrument_str']}-{pitch:03d}-100"
    return played | {"note_str": name, "pitch": pitch, "audio_digest": f"digest of {number}"}


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    # An instrument each in training; in the test data one more note of each, and two new ones.
    train = [note(number, instrument=number) for number in range(NUM_TRAIN)]
    test = [note(NUM_TRAIN + number, instrument=number) for number in range(NUM_TRAIN + 2)]
    manifests = (
        store(tmp_path / name, rows, notes_per_shard=25)
        for name, rows in (("train", train), ("test", test))
    )
    train_side, test_side = map(validate, manifests)
    return plan_run(
        train=train_side,
        test=test_side,
        experiment=EXPERIMENT,
        root=str(tmp_path),
        backend="tensorflow",
    )


def test_scorable_notes_tell_instruments_that_train_from_all_others(plan: RunPlan) -> None:
    train, validation = training_rows(plan)
    assert (len(train), len(validation)) == (26, 14)
    seen = scorable_notes(plan)["instrument_seen"].to_pylist()
    assert seen == [number in train for number in range(NUM_TRAIN)] + [False] * 2


def test_scorable_notes_hold_what_evaluation_asks_for(plan: RunPlan) -> None:
    found = scorable_notes(plan).slice(1, 1).to_pylist()[0]
    del found["instrument_seen"]
    assert found == {
        "row": 1,
        "note_str": "brass_acoustic_001-061-100",
        "instrument": 1,
        "instrument_str": "brass_acoustic_001",
        "instrument_source": 0,
        "instrument_source_str": "acoustic",
        "pitch": 61,
        "velocity": 100,
        "audio_digest": "digest of 41",
        "label": 1,
        "verdict": None,
        "fold": None,
    }
