import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import ConfigError, DatasetError
from pipelines.train.selection.notes import scorable_notes
from pipelines.train.selection.run_notes import load_notes_by_reason
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import validate
from tests.pipelines.train.tiny import commit_notes, training_reasons, training_rows


def planned_again(plan: RunPlan, root: Path, **changes: object) -> RunPlan:
    arguments = {
        "train": validate(plan.train.manifest_uri),
        "test": plan.test,
        "experiment": plan.experiment,
        "root": str(root),
        "backend": plan.backend,
    }
    return plan_run(**(arguments | changes))  # type: ignore[arg-type] # the names are checked


def test_plan_run_counts_and_stores_what_leaks(plan: RunPlan) -> None:
    assert plan.train.dropped == {"synth_lead": 1, "leaked": 1}
    assert (plan.train.num_seen, plan.train.num_kept) == (15, 13)
    assert plan.train.families == {"bass": 4, "organ": 5, "vocal": 4}
    stored = load_notes_by_reason(plan.uri, "leaked").to_pylist()
    assert [(note["row"], note["note_str"]) for note in stored] == [
        (0, "bass_acoustic_000-020-100")
    ]


def test_plan_run_leaves_the_test_data_alone(plan: RunPlan) -> None:
    assert plan.test == validate(plan.test.manifest_uri)


def test_training_reasons_add_leaked_to_the_verdicts(plan: RunPlan) -> None:
    assert training_reasons(plan) == ["leaked", *[None] * 13, "synth_lead"]


def test_plan_run_finds_the_same_run_under_any_root(plan: RunPlan, tmp_path: Path) -> None:
    again = planned_again(plan, tmp_path / "elsewhere")
    assert again.run_id == plan.run_id
    assert again.uri == f"{tmp_path}/elsewhere/runs/{plan.run_id}"


def test_plan_run_names_another_run_for_other_inputs(plan: RunPlan, tmp_path: Path) -> None:
    changes: list[dict[str, object]] = [
        {"experiment": replace(plan.experiment, seed=1)},
        {"experiment": replace(plan.experiment, epochs=3)},
        {"backend": "another"},
    ]
    ids = {planned_again(plan, tmp_path, **change).run_id for change in changes}
    assert len(ids | {plan.run_id}) == 4


def test_plan_run_gives_a_small_plan_that_travels(plan: RunPlan) -> None:
    data = pickle.dumps(plan)
    assert pickle.loads(data) == plan  # noqa: S301 # our own bytes
    assert len(data) < 5000


def test_plan_run_refuses_one_data_set_as_both(plan: RunPlan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is named as train and as test data"):
        planned_again(plan, tmp_path, train=plan.test)


def test_plan_run_refuses_data_sets_of_different_lengths(plan: RunPlan, tmp_path: Path) -> None:
    notes = [(number, family) for number in range(4) for family in ("bass", "organ", "vocal")]
    shorter = validate(commit_notes(tmp_path, "short", notes, num_samples=2_000))
    with pytest.raises(ConfigError) as refused:
        planned_again(plan, tmp_path, test=shorter)
    assert str(refused.value) == (
        "the data sets of a run must have notes of one length, got samples per note: train 8,000, "
        "test 2,000; convert all of them with the same --samples"
    )


def test_plan_run_knows_the_length_of_its_notes(plan: RunPlan, tmp_path: Path) -> None:
    assert plan.num_samples == 8_000
    sides = {}
    for name, first in (("train", 0), ("test", 50)):
        notes = [(first + n, family) for n in range(4) for family in ("bass", "organ", "vocal")]
        sides[name] = validate(commit_notes(tmp_path, name, notes, num_samples=2_000))
    shorter = planned_again(plan, tmp_path, **sides)
    assert shorter.num_samples == 2_000
    assert shorter.run_id != plan.run_id


def test_plan_run_refuses_data_of_which_nothing_is_left(plan: RunPlan, tmp_path: Path) -> None:
    uri = commit_notes(tmp_path, "leads", [(1, "synth_lead"), (2, "synth_lead")])
    for side in ("train", "test"):
        with pytest.raises(DatasetError, match=r"no note of .*leads.* is left: 2 seen"):
            planned_again(plan, tmp_path, **{side: validate(uri)})


def test_training_rows_are_the_kept_notes(plan: RunPlan) -> None:
    train, validation = training_rows(plan)
    assert sorted([*train, *validation]) == list(range(1, 14))
    assert len(validation) == round(13 * plan.experiment.validation_fraction + 0.5)


def test_scorable_notes_are_all_that_have_a_label(plan: RunPlan) -> None:
    notes = scorable_notes(plan)
    assert notes["row"].to_pylist() == [0, 2, 3, 4, 5]
    assert notes["label"].to_pylist() == [0, 6, 6, 9, 0]
    assert notes["verdict"].to_pylist() == [None, None, "duplicate_note", None, None]
    assert notes["note_str"][0].as_py() == "bass_acoustic_000-020-100"


def test_plan_run_refuses_another_data_set_in_the_place(plan: RunPlan, root: Path) -> None:
    other = replace(plan.train, manifest_uri=plan.test.manifest_uri)
    with pytest.raises(DatasetError, match=r"expected manifest digest .*; validate the data"):
        planned_again(plan, root, train=other)


def test_training_rows_follow_the_seed(plan: RunPlan, tmp_path: Path) -> None:
    other = planned_again(plan, tmp_path, experiment=replace(plan.experiment, seed=1))
    assert not np.array_equal(training_rows(plan)[1], training_rows(other)[1])
