import hashlib
import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ConfigError, DatasetError
from pipelines.evaluate.predictions import PREDICTIONS_SCHEMA, from_table
from pipelines.evaluate.scores import summarise
from pipelines.notes import CLASSES
from pipelines.registry.inventory import find_run
from pipelines.registry.runs import RunRecord, git_state, load_run
from pipelines.train.artifacts import stored_model, stored_record
from pipelines.train.fitting.checkpoints import digest_arrays, read_weights
from pipelines.train.fitting.fit import predict
from pipelines.train.model import backend
from pipelines.train.model.architectures import decode_model
from pipelines.train.run import Metrics, evaluate_model, finish_run, train_model
from pipelines.train.samples.batches import Notes
from pipelines.train.selection.notes import scored_samples
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import validate
from tests.pipelines.train.conftest import EXPERIMENT

NAME = "preliminary"
FILES = (
    "model.keras",
    "labels.json",
    "history.json",
    "training.json",
    "predictions.parquet",
    "metrics.json",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def done(root: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    """A complete run; tests that change it mend it again."""
    plan = plan_run(
        train=validate(f"{root}/notes/train/manifest.json"),
        test=validate(f"{root}/notes/test/manifest.json"),
        experiment=EXPERIMENT,
        root=str(tmp_path_factory.mktemp("runs")),
        backend=backend.NAME,
    )
    train_model(plan, NAME, cache_dir=cache)
    evaluate_model(plan, NAME, cache_dir=cache)
    finish_run(plan)
    return plan


def folder(plan: RunPlan) -> Path:
    return Path(plan.model_uri(NAME))


def contents(plan: RunPlan) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder(plan).iterdir()}


def times(plan: RunPlan) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path(plan.uri).rglob("*")}


def test_run_stores_what_its_readers_expect(done: RunPlan) -> None:
    assert sorted(contents(done)) == sorted(FILES)
    assert json.loads((folder(done) / "labels.json").read_text()) == list(CLASSES)
    history = json.loads((folder(done) / "history.json").read_text())
    assert history["epoch"] == [1, 2]
    assert list(history) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]


def test_run_scores_every_test_note_with_a_label(done: RunPlan) -> None:
    table = pq.read_table(folder(done) / "predictions.parquet")
    assert table.schema == PREDICTIONS_SCHEMA
    assert table["row"].to_pylist() == [0, 2, 3, 4, 5]
    found = json.loads((folder(done) / "metrics.json").read_text())
    assert (found["num_scored"], found["all_notes"]["num_scored"]) == (4, 5)
    assert found["num_parameters"] == 9098
    assert json.loads(json.dumps(summarise(from_table(table)))).items() <= found.items()


def test_run_is_evaluated_alike_for_any_backend(done: RunPlan) -> None:
    before = contents(done)
    (folder(done) / "metrics.json").unlink()
    code = f"from pipelines.evaluate.comparison import evaluate_run; evaluate_run({done.uri!r})"
    environment = os.environ | {"KERAS_BACKEND": "none that is installed"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert contents(done) == before


def test_run_stores_the_model_that_gave_the_predictions(done: RunPlan, cache: Path) -> None:
    table = pq.read_table(folder(done) / "predictions.parquet")
    notes = Notes(scored_samples(done, cache), table["row"].to_numpy(), table["label"].to_numpy())
    again = predict(decode_model((folder(done) / "model.keras").read_bytes()), notes, batch_size=4)
    np.testing.assert_allclose(again, np.stack(table["probabilities"].to_pylist()), rtol=1e-5)


def test_run_record_says_what_was_done(done: RunPlan) -> None:
    record = load_run(find_run(done.uri.rpartition("/runs/")[0], done.run_id[:6]))
    assert (record.run_id, record.experiment) == (done.run_id, EXPERIMENT)
    assert record.datasets == {"train": done.train, "test": done.test}
    assert sum(of.num_train + of.num_validation for of in record.trainings) == done.train.num_kept
    assert record.device == backend.device()
    assert record.models[NAME].num_parameters == 9098
    assert record.models[NAME].layers[0] == ("Conv1D", (7999, 64), 192)
    assert set(record.versions) > {"python", "keras", backend.NAME, "nsynth-flows"}


def test_run_record_says_how_each_model_was_trained(done: RunPlan) -> None:
    record = load_run(done.uri)
    (training,) = record.models[NAME].trainings
    data = (folder(done) / "model.keras").read_bytes()
    assert training.model_sha256 == hashlib.sha256(data).hexdigest()
    assert training.weights_digest == digest_arrays(read_weights(decode_model(data)))
    assert (training.batch_size, training.num_steps) == (4, -(-training.num_train // 4))
    assert (training.seed, training.epochs, training.stored_epoch) == (0, 2, 2)
    assert training.device == backend.device()
    assert training.git == record.git == git_state()
    assert set(training.seconds) == {"data", "training", "storing"}
    assert record.seconds == training.seconds["training"] > 0


def test_run_twice_writes_nothing(
    done: RunPlan, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = times(done)
    train_model(done, NAME, cache_dir=cache)
    first = evaluate_model(done, NAME, cache_dir=cache)
    record = finish_run(done)
    assert times(done) == before
    assert isinstance(first, Metrics)
    assert isinstance(record, RunRecord)
    assert "reusing preliminary of run" in caplog.text
    assert "reusing the predictions of preliminary" in caplog.text


@pytest.mark.parametrize("lost", ["predictions.parquet", "metrics.json"])
def test_evaluate_model_makes_again_what_is_lost(done: RunPlan, cache: Path, lost: str) -> None:
    before = contents(done)
    (folder(done) / lost).unlink()
    evaluate_model(done, NAME, cache_dir=cache)
    assert contents(done) == before


def test_evaluate_model_makes_damaged_predictions_again(done: RunPlan, cache: Path) -> None:
    before = contents(done)
    damaged = bytearray(before["predictions.parquet"])
    column = pq.read_metadata(folder(done) / "predictions.parquet").row_group(0).column(0)
    # The last byte of the column's page: no checksum covers what stands in the page's header.
    damaged[column.data_page_offset + column.total_compressed_size - 1] ^= 0xFF
    (folder(done) / "predictions.parquet").write_bytes(damaged)
    evaluate_model(done, NAME, cache_dir=cache)
    assert contents(done) == before


def test_evaluate_model_scores_again_for_another_version(done: RunPlan, cache: Path) -> None:
    before = contents(done)
    path = folder(done) / "predictions.parquet"
    table = pq.read_table(path)
    pq.write_table(
        table.replace_schema_metadata({"nsynth_flows": '{"evaluation_version": 0}'}), path
    )
    evaluate_model(done, NAME, cache_dir=cache)
    assert contents(done) == before


@pytest.mark.parametrize("damaged", ["model.keras", "history.json", "labels.json", "training.json"])
def test_stored_model_is_none_where_anything_is_damaged(done: RunPlan, damaged: str) -> None:
    path = folder(done) / damaged
    data = path.read_bytes()
    assert stored_model(done.trainings(NAME)[0]) == (folder(done) / "model.keras").read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert stored_model(done.trainings(NAME)[0]) is None
    path.unlink()
    assert stored_model(done.trainings(NAME)[0]) is None
    path.write_bytes(data)


def test_train_model_refuses_another_backend(plan: RunPlan, cache: Path) -> None:
    other = replace(plan, backend="abacus")
    with pytest.raises(ConfigError, match="planned for abacus, but Keras runs on"):
        train_model(other, NAME, cache_dir=cache)


def test_evaluate_model_refuses_a_model_that_is_not_trained(plan: RunPlan, cache: Path) -> None:
    with pytest.raises(ConfigError, match="holds no trained model; train it first"):
        evaluate_model(plan, NAME, cache_dir=cache)


def test_finish_run_refuses_a_run_with_gaps(plan: RunPlan) -> None:
    with pytest.raises(DatasetError, match="preliminary is not trained and evaluated"):
        finish_run(plan)
    assert not (Path(plan.uri) / "run.json").exists()


def test_train_model_resumes_where_it_was_stopped(
    plan: RunPlan, done: RunPlan, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def fail(name: str, epoch: int, *rest: object) -> None:
        if epoch == 2:
            raise ConnectionError("the second epoch ended, and its checkpoint is not stored")

    with pytest.raises(ConnectionError):
        train_model(plan, NAME, cache_dir=cache, on_epoch=fail)
    stored = folder(plan) / "checkpoints" / "epoch-00001.npz"
    assert stored.exists()
    train_model(plan, NAME, cache_dir=cache)
    assert f"resuming preliminary of run {plan.run_id} after epoch 1, since {stored}" in caplog.text
    assert not stored.parent.exists()
    resumed, whole = (stored_record(run.trainings(NAME)[0]) for run in (plan, done))
    assert resumed is not None
    assert whole is not None
    assert (resumed.resumed_after, whole.resumed_after) == (1, 0)
    assert resumed.weights_digest == whole.weights_digest


def test_stored_training_refuses_another_format(done: RunPlan) -> None:
    path = folder(done) / "training.json"
    text = path.read_text()
    path.write_text(text.replace('"format_version": 3', '"format_version": 99'))
    with pytest.raises(
        DatasetError, match=r"expected format_version 2 or 3 in .*training.json, found"
    ):
        stored_model(done.trainings(NAME)[0])
    path.write_text(text)


def test_train_model_mends_a_damaged_model(done: RunPlan, cache: Path) -> None:
    (folder(done) / "model.keras").write_bytes(b"PK")
    heard: list[int] = []
    train_model(done, NAME, cache_dir=cache, on_epoch=lambda _, epoch, *rest: heard.append(epoch))
    assert heard == [1, 2]
    assert stored_model(done.trainings(NAME)[0]) is not None
    evaluate_model(done, NAME, cache_dir=cache)


def test_run_is_stored_on_s3_as_well(root: Path, cache: Path, bucket: str) -> None:
    plan = plan_run(
        train=validate(f"{root}/notes/train/manifest.json"),
        test=validate(f"{root}/notes/test/manifest.json"),
        experiment=replace(EXPERIMENT, epochs=1),
        root=bucket,
        backend=backend.NAME,
    )
    train_model(plan, NAME, cache_dir=cache)
    scored = evaluate_model(plan, NAME, cache_dir=cache)
    record = finish_run(plan)
    assert scored == evaluate_model(plan, NAME, cache_dir=cache)
    assert load_run(find_run(bucket, plan.run_id[:5])) == record
