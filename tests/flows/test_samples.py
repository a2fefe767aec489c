"""The main job on notes of another length, from the source to the report."""

import json
import shlex
from pathlib import Path
from typing import Any

import keras
import pytest

from pipelines.convert.commit.manifest import load_manifest
from pipelines.registry.runs import load_run
from pipelines.report.reproduce import commands
from pipelines.report.results import load_results
from tests.flows.command import run, run_json
from tests.flows.conftest import LENIENT

NUM_SAMPLES = 2_000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("short")


@pytest.fixture(scope="module")
def shorter(source: Path, root: Path, prefect_env: dict[str, str]) -> dict[str, Any]:
    """Return what the main job printed."""
    return run_json(
        *("nsynth", "retrain", "--samples", str(NUM_SAMPLES), "--model", "preliminary"),
        *("--train", str(source / "nsynth-train.tfrecord")),
        *("--test", str(source / "nsynth-test.tfrecord")),
        *("--root", str(root), "--epochs", "1", *LENIENT),
        env=prefect_env,
    )


def test_retrain_keeps_the_length_that_was_chosen(shorter: dict[str, Any], root: Path) -> None:
    folder = Path(shorter["report"]).parent
    record = load_run(str(folder))
    assert record.num_samples == NUM_SAMPLES
    for validation in record.datasets.values():
        assert load_manifest(validation.manifest_uri).parameters.num_samples == NUM_SAMPLES
    model = keras.models.load_model(folder / "preliminary" / "model.keras", compile=False)
    assert model.input_shape == (None, NUM_SAMPLES, 1)
    assert record.models["preliminary"].layers[0][1] == (NUM_SAMPLES - 1, 64)
    sizes = [path.stat().st_size for path in (root / "cache").glob("*.f32")]
    seen = [validation.num_seen for validation in record.datasets.values()]
    assert sorted(sizes) == sorted(4 * NUM_SAMPLES * num for num in seen)
    assert json.loads((folder / "cost.json").read_text())["lengths"] == [250, 500, 1_000, 2_000]
    assert json.loads((folder / "preliminary" / "promotion.json").read_text())["outcome"]


def test_report_says_the_length_that_was_chosen(shorter: dict[str, Any]) -> None:
    page = Path(shorter["report"]).read_text()
    assert "ends at 0.25&nbsp;kHz" in page
    assert "energy above 0.25&nbsp;kHz" in page
    assert "1&nbsp;kHz" not in page
    assert "2,000 samples" in page


def test_commands_of_the_report_name_the_length(
    shorter: dict[str, Any], prefect_env: dict[str, str]
) -> None:
    found = commands(load_results(str(Path(shorter["report"]).parent)))
    assert found.from_sources is not None
    assert f"--samples {NUM_SAMPLES}" in found.from_sources
    again = run_json(*shlex.split(found.from_sources), env=prefect_env)
    assert again["run_id"] == shorter["run_id"]


def test_train_refuses_data_sets_of_different_lengths(
    shorter: dict[str, Any], source: Path, root: Path
) -> None:
    train = load_run(str(Path(shorter["report"]).parent)).datasets["train"].manifest_uri
    test = str(source / "nsynth-test.tfrecord")
    longer = run_json("nsynth", "convert", test, "--root", str(root), *LENIENT[:2])["manifest"]
    done = run(
        *("nsynth", "train", train, "--test", longer, "--root", str(root), "--epochs", "1"),
        *LENIENT[2:],
    )
    assert done.returncode != 0
    assert (
        "nsynth: the data sets of a run must have notes of one length, got samples per note: "
        "train 2,000, test 8,000; convert all of them with the same --samples\n"
    ) in done.stderr


@pytest.mark.parametrize("number", ["999", "64001"])
def test_convert_refuses_lengths_out_of_range(source: Path, tmp_path: Path, number: str) -> None:
    file = str(source / "nsynth-test.tfrecord")
    done = run("nsynth", "convert", file, "--samples", number, "--root", str(tmp_path))
    assert done.returncode == 2
    assert "--samples" in done.stderr
    assert ("1000" if number == "999" else "64000") in done.stderr
