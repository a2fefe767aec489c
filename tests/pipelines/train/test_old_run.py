"""A run of format 4, as the version before notes.parquet stored it."""

import shutil
from pathlib import Path

import pytest

from pipelines.evaluate.comparison import evaluate_run
from pipelines.experiment import Experiment
from pipelines.promotion.promote import promote
from pipelines.records import parse, sealed
from pipelines.registry.runs import load_run
from pipelines.train.model import backend
from pipelines.train.run import evaluate_model, finish_run, train_model
from pipelines.train.selection.run_notes import (
    holds_out_notes,
    load_notes_by_reason,
    load_trained_notes,
)
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import validate
from pipelines.verification import verify_run
from tests.pipelines.train.conftest import TEST
from tests.pipelines.train.tiny import commit_notes, training_rows

NAME, RUN_ID = "preliminary", "a6f367e02d29cb52"
TRAIN = [(number, family) for number in range(12) for family in ("bass", "organ", "vocal")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the old run; its data sets are made again, as they were."""
    root = tmp_path / "root"
    shutil.copytree(Path(__file__).with_name("old_root"), root)
    for name, notes in (("train", TRAIN), ("test", TEST)):
        validate(commit_notes(root, name, notes))
    record = root / "runs" / RUN_ID / "run.json"
    content = parse(record.read_bytes().replace(b"/old-root", str(root).encode()))
    version, _ = content.pop("format_version"), content.pop("content_digest")
    record.write_bytes(sealed(content, format_version=version))
    return root


def planned(root: Path) -> RunPlan:
    train, test = (validate(f"{root}/notes/{name}/manifest.json") for name in ("train", "test"))
    return plan_run(
        train=train,
        test=test,
        experiment=Experiment(models=(NAME,), epochs=1, batch_size=4, seed=1),
        root=str(root),
        backend=backend.NAME,
        holdout_mode="respect",
    )


def test_an_old_run_is_read(root: Path) -> None:
    uri = str(root / "runs" / RUN_ID)
    assert verify_run(uri) == []
    assert load_run(uri).notes_digest is None
    assert load_notes_by_reason(uri, "leaked")["row"].to_pylist() == [0]
    assert holds_out_notes(uri)
    trained = load_trained_notes(f"{uri}/{NAME}")
    assert {part: trained["part"].to_pylist().count(part) for part in ("train", "valid")} == {
        "train": 23,
        "valid": 12,
    }
    assert evaluate_run(uri)
    assert promote(uri, NAME, root=str(root), cache_dir=root / "cache").outcome == "promoted"


def test_an_old_run_is_found_again_and_retrains_nothing(root: Path) -> None:
    folder = root / "runs" / RUN_ID
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    plan = planned(root)
    assert plan.run_id == RUN_ID
    assert sorted(load_trained_notes(plan.model_uri(NAME))["row"].to_pylist()) == sorted(
        [*training_rows(plan)[0], *training_rows(plan)[1]]
    )
    train_model(plan, NAME, cache_dir=root / "cache")
    evaluate_model(plan, NAME, cache_dir=root / "cache")
    finish_run(plan)
    assert {path: path.read_bytes() for path in before} == before
    assert verify_run(str(folder)) == []
