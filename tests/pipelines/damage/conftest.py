"""A root with two data sets, two runs, a gate and a champion, for tests that change its files."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.sample.splits import write_splits
from pipelines import storage
from pipelines.analysis.cost import measure_cost
from pipelines.analysis.features import score_run_features
from pipelines.convert.job import convert
from pipelines.decisions import Decision
from pipelines.experiment import Experiment
from pipelines.promotion.promote import promote
from pipelines.registry.runs import append_decisions
from pipelines.report.build import current_report
from pipelines.train.model import backend
from pipelines.train.run import evaluate_model, finish_run, train_model
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import validate
from tests.pipelines.damage.stored_root import MODEL


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `root`: two data sets, two runs, a gate and a champion, in a minute."""
    folder = tmp_path_factory.mktemp("damage")
    write_splits(str(folder), {"train": 40, "valid": 40, "test": 40})
    root = str(folder / "root")
    sides = {}
    for side in ("train", "test"):
        source = str(folder / f"nsynth-{side}.tfrecord")
        uri, _ = convert([source], root=root, num_workers=1, max_quarantined=1)
        sides[side] = validate(uri)
    for seed in (0, 1):
        plan = plan_run(
            **sides,
            experiment=Experiment(models=(MODEL,), epochs=1, seed=seed),
            root=root,
            backend=backend.NAME,
            holdout_mode="freeze" if seed == 0 else "off",
        )
        _finish(plan, is_first=seed == 0)
    return folder


def _finish(plan: RunPlan, *, is_first: bool) -> None:
    root = storage.parent(storage.parent(plan.uri))
    cache = storage.cache_dir(root)
    train_model(plan, MODEL, cache_dir=cache)
    evaluate_model(plan, MODEL, cache_dir=cache)
    finish_run(plan)
    if is_first:
        score_run_features(plan)
        measure_cost(plan, budget_sec=0)
        promote(plan.uri, MODEL, root=root, cache_dir=cache)
        append_decisions(plan.uri, [Decision("train", MODEL, "ran", "it was not there")])
        current_report(plan.uri)


@pytest.fixture
def root(made: Path) -> Iterator[Path]:
    """That root, whole again after each test."""
    whole, copy = made / "root", made / "whole"
    if not copy.exists():
        shutil.copytree(whole, copy)
    yield whole
    for path in copy.rglob("*"):
        if path.is_file():
            target = whole / path.relative_to(copy)
            if target.is_dir():
                shutil.rmtree(target)
            if not target.exists() or target.read_bytes() != path.read_bytes():
                shutil.copy(path, target)
    for path in whole.rglob("*"):
        if path.is_file() and not (copy / path.relative_to(whole)).exists():
            path.unlink()
