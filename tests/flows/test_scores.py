"""The commands that score again and compare, run as a user runs them."""

import json
from pathlib import Path
from typing import Any

from pipelines.parameters import DEFAULT_MODELS
from tests.flows.command import run, run_json


def test_evaluate_redoes_the_metrics_from_the_predictions(
    retrained: dict[str, Any], root: Path
) -> None:
    run_id = retrained["run_id"]
    paths = [root / "runs" / run_id / name / "metrics.json" for name in DEFAULT_MODELS]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    found = run_json("nsynth", "evaluate", run_id[:8], "--root", str(root))["models"]
    assert [path.read_bytes() for path in paths] == before
    assert [found[name] for name in DEFAULT_MODELS] == [json.loads(data) for data in before]
    shown = run("nsynth", "evaluate", run_id, "--root", str(root)).stdout
    assert "optimised, parts of the kept notes" in shown
    assert "too few" in shown


def test_compare_is_of_two_runs_or_of_the_models_of_one(
    retrained: dict[str, Any], root: Path
) -> None:
    run_id = retrained["run_id"]
    itself = run_json("nsynth", "compare", run_id, run_id, "--root", str(root))["comparisons"]
    assert set(itself) == set(DEFAULT_MODELS)
    assert itself["optimised"]["figures"]["accuracy"]["difference"] == 0
    (found,) = run_json("nsynth", "compare", run_id, "--root", str(root))["comparisons"].values()
    accuracies = [found["figures"]["accuracy"][which] for which in ("first", "second")]
    assert accuracies == [retrained["models"][name]["accuracy"] for name in DEFAULT_MODELS]
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
    for model in DEFAULT_MODELS:
        assert shown.count(f"{model}, accuracy; the first is {run_id}") == 1
    assert shown.count(run_id) == 2 + 2 * len(DEFAULT_MODELS)
    assert "macro F1" not in shown


def test_score_takes_the_predictions_of_a_model_and_compares_them(
    retrained: dict[str, Any], root: Path
) -> None:
    run_id = retrained["run_id"]
    file = str(root / "runs" / run_id / "optimised" / "predictions.parquet")
    at = ("--root", str(root), "--run", run_id[:8], "--against", f"{run_id[:8]}:optimised")
    found = run_json("nsynth", "score", file, *at, "--baseline", "majority")
    stored = json.loads((root / "runs" / run_id / "optimised" / "metrics.json").read_text())
    (own, majority) = found["scores"].values()
    assert own == {key: stored[key] for key in own}
    assert majority["num_scored"] == stored["num_scored"]
    itself, other = found["comparisons"].values()
    assert itself["figures"]["accuracy"]["difference"] == 0
    assert other["figures"]["accuracy"]["second"] == majority["accuracy"]


def test_score_on_a_data_set_needs_all_its_notes(
    retrained: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    manifest = retrained_manifest(root)
    (tmp_path / "p.csv").write_text("note_str,family\nnobody,bass\n")
    at = ("--root", str(root), "--dataset", manifest)
    done = run("nsynth", "score", str(tmp_path / "p.csv"), *at)
    assert done.returncode == 1
    assert done.stderr.endswith("1 is not among them, such as nobody\n")


def test_score_needs_notes_and_predictions(root: Path) -> None:
    for arguments in ([], ["p.csv"], ["p.csv", "--run", "a", "--dataset", "b"], ["--run", "a"]):
        assert run("nsynth", "score", *arguments, "--root", str(root)).returncode == 2


def test_stress_measures_the_models_of_a_run_once(retrained: dict[str, Any], root: Path) -> None:
    at = (retrained["run_id"][:8], "--root", str(root), "--model", "preliminary")
    found = run_json("nsynth", "stress", *at)["models"]["preliminary"]
    assert found["accuracy"] == retrained["models"]["preliminary"]["accuracy"]
    shown = run("nsynth", "stress", *at)
    assert "has the sheet of this preliminary" in shown.stderr
    assert "delay 50 ms" in shown.stdout


def test_errata_of_a_data_set_are_listed_and_exported(
    retrained: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    file = tmp_path / "errata.csv"
    found = run_json("nsynth", "errata", retrained_manifest(root), "--output", str(file))
    assert sum(found["counts"].values()) == found["num_rows"]
    assert len(file.read_text().splitlines()) == found["num_rows"] + 1
    assert Path(found["errata"]).exists()


def retrained_manifest(root: Path) -> str:
    return str(min(root.glob("notes/*/manifest.json")))
