"""What is made again after it was forgotten."""

from pathlib import Path

import pytest

from pipelines.decisions import collect_decisions
from pipelines.train.artifacts import discard_model, discard_scores
from pipelines.train.run import evaluate_model, finish_run, train_model
from pipelines.train.selection.run_plan import RunPlan

NAME = "preliminary"


@pytest.fixture
def done(plan: RunPlan, tmp_path: Path) -> RunPlan:
    run(plan, tmp_path)
    return plan


def run(plan: RunPlan, tmp_path: Path) -> list[tuple[str, str]]:
    with collect_decisions() as decisions:
        train_model(plan, NAME, cache_dir=tmp_path / "cache")
        evaluate_model(plan, NAME, cache_dir=tmp_path / "cache")
        finish_run(plan)
    return [(decision.stage, decision.action) for decision in decisions]


def test_forget_model_has_it_trained_and_scored_anew(done: RunPlan, tmp_path: Path) -> None:
    assert run(done, tmp_path) == [("train", "reused"), ("evaluate", "reused")]
    discard_model(done, NAME)
    assert [path.name for path in Path(done.uri).rglob("*") if path.is_file()] == [
        "notes.parquet",
        "labels.json",
    ]
    assert run(done, tmp_path) == [("train", "ran"), ("evaluate", "ran")]


def test_forget_scores_keeps_the_model(done: RunPlan, tmp_path: Path) -> None:
    model = Path(done.model_uri(NAME, "model.keras")).stat().st_mtime_ns
    discard_scores(done, NAME)
    assert not Path(done.uri, "run.json").exists()
    assert run(done, tmp_path) == [("train", "reused"), ("evaluate", "ran")]
    assert Path(done.model_uri(NAME, "model.keras")).stat().st_mtime_ns == model


def test_forget_may_be_repeated(plan: RunPlan) -> None:
    for _ in range(2):
        discard_model(plan, NAME)
