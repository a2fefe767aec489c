"""The protocols from their data to their metrics, on a few notes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.dataset import open_dataset
from pipelines.errors import ConfigError, DatasetError
from pipelines.experiment import Experiment
from pipelines.registry.runs import load_run
from pipelines.train.artifacts import discard_model
from pipelines.train.fitting.checkpoints import read_weights
from pipelines.train.model import backend
from pipelines.train.model.architectures import decode_model
from pipelines.train.run import evaluate_model, finish_run, train_model
from pipelines.train.selection.run_notes import load_run_notes, select_notes
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import Validation, validate
from tests.pipelines.train.tiny import commit_notes, training_reasons, training_rows

NAME = "preliminary"
EXPERIMENT = Experiment(models=(NAME,), epochs=3, batch_size=4)

# Each note of these is of an instrument of its own.
TRAIN = [(number, family) for number in range(12) for family in ("bass", "organ", "vocal")]
VALID = [(100, "bass"), (101, "organ"), (102, "vocal"), (103, "bass"), (0, "bass")]
TEST = [(200, "bass"), (201, "organ"), (202, "vocal"), (1, "organ"), (101, "organ")]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Validation]:
    root = tmp_path_factory.mktemp("data")
    named = {"train": TRAIN, "valid": VALID, "test": TEST}
    return {side: validate(commit_notes(root, side, notes)) for side, notes in named.items()}


def planned(sides: dict[str, Validation], root: Path, **changes: object) -> RunPlan:
    experiment = Experiment(**EXPERIMENT.to_dict() | changes)
    wanted = {"reference": ("train", "test"), "grouped": ("train",)}
    names = wanted.get(experiment.protocol, ("train", "valid", "test"))
    given = {side: sides[side] if side in names else None for side in ("train", "valid", "test")}
    return plan_run(**given, experiment=experiment, root=str(root), backend=backend.NAME)  # type: ignore[arg-type] # train is there


@pytest.fixture(scope="module")
def grouped(sides: dict[str, Validation], tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    """A complete run out of fold."""
    plan = planned(sides, tmp_path_factory.mktemp("grouped"), protocol="grouped")
    complete(plan)
    return plan


def complete(plan: RunPlan) -> None:
    cache = Path(plan.uri).parents[1] / "cache"
    train_model(plan, NAME, cache_dir=cache)
    evaluate_model(plan, NAME, cache_dir=cache)
    finish_run(plan)


def test_official_drops_from_each_side_what_a_later_one_holds(
    sides: dict[str, Validation], tmp_path: Path
) -> None:
    plan = planned(sides, tmp_path, protocol="official")
    leaked = {
        side: [note for note, why in zip(notes, training_reasons(plan, side), strict=True) if why]
        for side, notes in (("train", TRAIN), ("valid", VALID))
    }
    assert leaked == {"train": [(0, "bass"), (1, "organ")], "valid": [(101, "organ")]}
    assert plan.valid is not None
    assert (plan.train.num_kept, plan.valid.num_kept) == (len(TRAIN) - 2, len(VALID) - 1)
    assert plan.test == sides["test"]


def test_official_trains_on_all_of_train_and_validates_on_valid(
    sides: dict[str, Validation], tmp_path: Path
) -> None:
    train, validation = training_rows(planned(sides, tmp_path, protocol="official"))
    assert (len(train), len(validation)) == (len(TRAIN) - 2, len(VALID) - 1)


def test_official_stores_and_scores_the_epoch_of_lowest_validation_loss(
    sides: dict[str, Validation], tmp_path: Path
) -> None:
    plan = planned(sides, tmp_path, protocol="official", learning_rate=0.05)
    complete(plan)
    (training,) = load_run(plan.uri).models[NAME].trainings
    history = json.loads((Path(plan.uri) / NAME / "history.json").read_text())
    assert training.stored_epoch == training.best_epoch == 1 + np.argmin(history["val_loss"])


def test_grouped_scores_each_labelled_note_once_by_a_model_without_its_instrument(
    grouped: RunPlan,
) -> None:
    table = pq.read_table(Path(grouped.uri) / NAME / "predictions.parquet")
    assert table["row"].to_pylist() == list(range(len(TRAIN)))
    assert set(table["fold"].to_pylist()) == {1, 2, 3}
    assert not any(table["instrument_seen"].to_pylist())
    names = open_dataset(grouped.train.manifest_uri).read(["instrument_str"])["instrument_str"]
    for fold in (1, 2, 3):
        scored = select_notes(load_run_notes(grouped.uri), part="test", fold=fold)
        parts = [*training_rows(grouped, fold), scored["row"].to_numpy()]
        instruments = [set(np.array(names.to_pylist())[rows]) for rows in parts]
        assert not instruments[0] & instruments[1]
        assert not (instruments[0] | instruments[1]) & instruments[2]


def test_grouped_keeps_a_model_a_fold_and_pools_their_answers(grouped: RunPlan) -> None:
    record = load_run(grouped.uri)
    assert len(record.models[NAME].trainings) == 3
    assert record.datasets["test"] == record.datasets["train"]
    models = [
        decode_model(Path(training.uri("model.keras")).read_bytes())
        for training in grouped.trainings(NAME)
    ]
    first, second = (read_weights(model)[0] for model in models[:2])
    assert not np.array_equal(first, second)


def test_grouped_resumes_behind_the_folds_that_are_there(
    grouped: RunPlan, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(grouped.uri) / NAME
    before = (folder / "fold-3" / "model.keras").read_bytes()
    (folder / "fold-3" / "training.json").unlink()
    with caplog.at_level("INFO"):
        complete(grouped)
    assert "reusing preliminary/fold-2" in caplog.text
    assert "no trained preliminary/fold-3" in caplog.text
    assert read_weights(decode_model(before))[0].shape == (2, 1, 64)


def test_forget_model_forgets_every_fold(grouped: RunPlan, tmp_path: Path) -> None:
    plan = replace(grouped, uri=str(tmp_path / "runs" / grouped.run_id))
    shutil.copytree(grouped.uri, plan.uri)
    assert len([*Path(plan.uri).rglob("*.keras")]) == 3
    discard_model(plan, NAME)
    assert not [*Path(plan.uri).rglob("*.keras"), *Path(plan.uri).rglob("training.json")]


@pytest.mark.parametrize(
    ("protocol", "given", "sentence"),
    [
        ("reference", ("train", "valid", "test"), "reference takes no valid data"),
        ("reference", ("train",), "reference needs test data"),
        ("official", ("train", "test"), "official needs valid data"),
        ("grouped", ("train", "test"), "grouped takes no test data"),
    ],
)
def test_plan_run_refuses_data_sets_that_the_protocol_does_not_take(
    sides: dict[str, Validation],
    tmp_path: Path,
    protocol: str,
    given: tuple[str, ...],
    sentence: str,
) -> None:
    chosen = {name: sides[name] if name in given else None for name in sides}
    with pytest.raises(ConfigError, match=sentence):
        plan_run(
            **chosen,  # type: ignore[arg-type] # train is there
            experiment=Experiment(protocol=protocol),
            root=str(tmp_path),
            backend=backend.NAME,
        )


def test_grouped_refuses_a_family_of_one_instrument(tmp_path: Path) -> None:
    notes = [(0, "vocal"), *((number, "bass") for number in range(1, 9))]
    side = validate(commit_notes(tmp_path, "train", notes))
    with pytest.raises(DatasetError, match="vocal are of one instrument"):
        planned({"train": side}, tmp_path, protocol="grouped")


def test_train_fraction_thins_the_notes_that_train_and_no_others(
    sides: dict[str, Validation], tmp_path: Path
) -> None:
    whole, half, quarter = (
        training_rows(planned(sides, tmp_path, train_fraction=part)) for part in (1.0, 0.5, 0.25)
    )
    assert set(quarter[0]) < set(half[0]) < set(whole[0])
    assert len(half[0]) == pytest.approx(len(whole[0]) / 2, abs=2)
    assert np.array_equal(whole[1], quarter[1])
