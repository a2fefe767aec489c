"""The commands that score again and compare, run as a user runs them."""

import json
from pathlib import Path
from typing import Any

from pipelines.parameters import ModelName
from tests.flows.command import run, run_json


def test_evaluate_redoes_the_metrics_from_the_predictions(
    retrained: dict[str, Any], root: Path
) -> None:
    run_id = retrained["run_id"]
    paths = [root / "runs" / run_id / name / "metrics.json" for name in ModelName]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    found = run_json("nsynth", "evaluate", run_id[:8], "--root", str(root))["models"]
    assert [path.read_bytes() for path in paths] == before
    assert [found[name] for name in ModelName] == [json.loads(data) for data in before]
    shown = run("nsynth", "evaluate", run_id, "--root", str(root)).stdout
    assert "optimised, parts of the kept notes" in shown
    assert "too few" in shown


def test_compare_is_of_two_runs_or_of_the_models_of_one(
    retrained: dict[str, Any], root: Path
) -> None:
    run_id = retrained["run_id"]
    itself = run_json("nsynth", "compare", run_id, run_id, "--root", str(root))["comparisons"]
    assert set(itself) == set(ModelName)
    assert itself["optimised"]["figures"]["accuracy"]["difference"] == 0
    (found,) = run_json("nsynth", "compare", run_id, "--root", str(root))["comparisons"].values()
    accuracies = [found["figures"]["accuracy"][which] for which in ("first", "second")]
    assert accuracies == [retrained["models"][name]["accuracy"] for name in ModelName]
    shown = run("nsynth", "compare", run_id, "--root", str(root)).stdout
    assert "preliminary, optimised" in shown
    assert "which treats notes as independent: p = " in shown


def test_compare_of_several_runs_has_pairs_and_a_page(
    retrained: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    given = [retrained["run_id"]] * 3
    page = tmp_path / "page.html"
    found = run_json("nsynth", "compare", *given, "--root", str(root), "--output", str(page))
    assert [pair["second"] for pair in found["pairs"]] == given[1:]
    assert "comparisons" not in found
    assert found["page"] == str(page)
    assert "3 runs compared" in page.read_text("utf-8")


def test_compare_of_several_runs_prints_accuracy_alone(
    retrained: dict[str, Any], root: Path
) -> None:
    run_id = retrained["run_id"]
    shown = run("nsynth", "compare", *[run_id] * 3, "--root", str(root)).stdout
    for model in ModelName:
        assert shown.count(f"{model}, accuracy; the first is {run_id}") == 1
    assert shown.count(run_id) == 2 + 2 * len(ModelName)
    assert "macro F1" not in shown
