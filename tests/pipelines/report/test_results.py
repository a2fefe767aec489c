import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import ConfigError, DatasetError
from pipelines.registry.runs import load_run, store_run
from pipelines.report.results import load_results
from tests.pipelines.report.run_folder import write_run


def test_load_results_reads_what_was_stored(tmp_path: Path) -> None:
    run = load_results(write_run(tmp_path))
    predictions = run.models[0].predictions
    assert predictions.probabilities.shape == (60, 10)
    assert predictions.probabilities.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-6)
    assert (predictions.predicted == predictions.probabilities.argmax(axis=1)).all()
    assert predictions.kept.sum() == 57
    assert predictions.row[:3].tolist() == [0, 2, 4]


def test_pages_are_built_without_any_framework() -> None:
    code = (
        "import sys, pipelines.report.build, pipelines.report.runs_comparison\n"
        "print([m for m in ('keras', 'tensorflow', 'jax', 'torch', 'prefect', 'apache_beam') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_load_results_puts_small_models_first(tmp_path: Path) -> None:
    uri = write_run(tmp_path, models={"large": 1.0, "small": 1.0})
    record = load_run(uri)
    large = replace(record.models["large"], num_parameters=1_000_000)
    store_run(replace(record, models={**record.models, "large": large}), uri)
    assert [model.name for model in load_results(uri).models] == ["small", "large"]


def test_load_results_refuses_metrics_of_other_notes(tmp_path: Path) -> None:
    uri = write_run(tmp_path)
    path = tmp_path / "tiny" / "metrics.json"
    metrics = json.loads(path.read_text())
    path.write_text(json.dumps(metrics | {"num_scored": 56}))
    with pytest.raises(DatasetError, match=r"expected 60 notes, 56 of them kept.*found 60, 57"):
        load_results(uri)


def test_load_results_refuses_another_format(tmp_path: Path) -> None:
    uri = write_run(tmp_path)
    path = tmp_path / "tiny" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 4}))
    with pytest.raises(DatasetError, match=r"expected format_version 2 or 3 in .*metrics\.json.*4"):
        load_results(uri)


def test_load_results_says_which_file_is_missing(tmp_path: Path) -> None:
    uri = write_run(tmp_path)
    (tmp_path / "tiny" / "history.json").unlink()
    with pytest.raises(ConfigError, match=r"tiny/history\.json"):
        load_results(uri)
