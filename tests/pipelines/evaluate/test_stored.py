import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.errors import ConfigError, DatasetError
from pipelines.evaluate.comparison import (
    compare_models,
    compare_runs,
    compare_with_first,
    evaluate_run,
)
from pipelines.evaluate.predictions import from_table
from pipelines.evaluate.scores import summarise
from pipelines.evaluate.stored import evaluate_again, load_metrics, store_metrics
from tests.pipelines.evaluate.tables import drawn_table
from tests.pipelines.report.run_folder import write_run


def test_evaluate_again_makes_the_same_metrics_from_the_predictions_alone(tmp_path: Path) -> None:
    pq.write_table(drawn_table(100), tmp_path / "predictions.parquet")
    figures = summarise(from_table(drawn_table(100)))
    content = store_metrics(str(tmp_path), figures, model="tiny", num_parameters=9)
    before = (tmp_path / "metrics.json").read_bytes()
    (tmp_path / "metrics.json").unlink()
    assert evaluate_again(str(tmp_path), model="tiny", num_parameters=9) == content
    assert (tmp_path / "metrics.json").read_bytes() == before
    assert load_metrics(str(tmp_path)) == json.loads(before)


def test_store_metrics_leaves_equal_ones_alone(tmp_path: Path) -> None:
    store_metrics(str(tmp_path), {"accuracy": 0.5}, model="tiny", num_parameters=9)
    before = (tmp_path / "metrics.json").stat().st_mtime_ns
    store_metrics(str(tmp_path), {"accuracy": 0.5}, model="tiny", num_parameters=9)
    assert (tmp_path / "metrics.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"format_version": 1}', "found 1; run the same training again"),
        ('{"format_version": 4}', "found 4; use the version of this project that wrote it"),
        ("{}", "its format_version is None; evaluate the run again"),
        ('{"format', "is not the metrics of a model: .*; evaluate the run again"),
        ("[]", "is not the metrics of a model: it holds a JSON list"),
        ('{"format_version": 2}', "is not the metrics of a model: num_scored: field required"),
    ],
)
def test_load_metrics_refuses_what_it_does_not_know(
    tmp_path: Path, content: str, sentence: str
) -> None:
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(DatasetError, match=sentence):
        load_metrics(str(tmp_path))


def test_evaluate_run_is_of_every_model(tmp_path: Path) -> None:
    uri = write_run(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("metrics.json")}
    assert len(before) == 2
    for path in before:
        path.unlink()
    assert set(evaluate_run(uri)) == {"preliminary", "tiny"}
    assert {path: path.read_bytes() for path in before} == before


def test_compare_runs_pairs_models_by_name(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a", models={"preliminary": 1.0, "tiny": 4.0})
    second = write_run(tmp_path / "b", models={"tiny": 1.0})
    assert set(compare_runs(first, second)) == {"tiny"}
    third = write_run(tmp_path / "c", models={"other": 1.0})
    with pytest.raises(ConfigError, match="compare runs that have a model in common"):
        compare_runs(first, third)


def test_compare_with_first_says_what_it_cannot_subtract(tmp_path: Path) -> None:
    first = write_run(tmp_path / "a")
    others = [write_run(tmp_path / "b", num_notes=50), write_run(tmp_path / "c")]
    others.append(write_run(tmp_path / "d", models={"other": 1.0}))
    different, same, apart = compare_with_first([first, *others])
    assert not different.comparisons
    assert "not scored on the same notes" in different.note
    assert (set(same.comparisons), same.note) == ({"preliminary", "tiny"}, "")
    assert "a model in common" in apart.note


def test_compare_models_pairs_those_of_a_run(tmp_path: Path) -> None:
    found = compare_models(write_run(tmp_path / "a"))["preliminary, tiny"]
    assert found.every.figures["accuracy"].difference > 0
    with pytest.raises(ConfigError, match="one model only, tiny; name a second run"):
        compare_models(write_run(tmp_path / "b", models={"tiny": 1.0}))


def test_compare_runs_refuses_runs_with_other_test_notes(tmp_path: Path) -> None:
    first, second = write_run(tmp_path / "a"), write_run(tmp_path / "b", num_notes=50)
    with pytest.raises(ConfigError, match=r"same notes \(60 and 50 of them\)"):
        compare_runs(first, second)
