"""Promotion of models that were really trained, where nothing of the test data is left to read."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError
from pipelines.experiment import Experiment
from pipelines.promotion.promote import promote
from pipelines.registry.champions import history
from pipelines.registry.holdout import Holdout, current_holdout, load_looks
from pipelines.registry.runs import load_run
from pipelines.train.holdout_scores import score_holdout
from pipelines.train.model import backend
from pipelines.train.model.architectures import decode_model
from pipelines.train.run import evaluate_model, finish_run, train_model
from pipelines.train.selection.run_notes import load_trained_notes
from pipelines.train.selection.run_plan import RunPlan, plan_run
from pipelines.validate.verdicts import validate
from tests.pipelines.train.tiny import commit_notes, training_rows

NAME = "preliminary"
TRAIN = [(number, family) for number in range(32) for family in ("bass", "organ", "vocal")]
TEST = [(200, "bass"), (201, "organ"), (202, "vocal")]


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> list[RunPlan]:
    """Two complete runs under one root, the test data of which are gone."""
    root = tmp_path_factory.mktemp("root")
    train, test = (
        validate(commit_notes(root, name, notes))
        for name, notes in (("train", TRAIN), ("test", TEST))
    )
    plans = []
    for seed in (0, 1):
        plan = plan_run(
            train=train,
            test=test,
            experiment=Experiment(models=(NAME,), epochs=1 + seed, batch_size=8, seed=seed),
            root=str(root),
            backend=backend.NAME,
            holdout_mode="freeze",
        )
        train_model(plan, NAME, cache_dir=root / "cache")
        evaluate_model(plan, NAME, cache_dir=root / "cache")
        finish_run(plan)
        for file in ("predictions.parquet", "metrics.json"):
            Path(plan.model_uri(NAME, file)).unlink()
        plans.append(plan)
    shutil.rmtree(root / "notes" / "test")
    return plans


@pytest.fixture(scope="module")
def shorter(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """A champion on notes of 8,000 samples, then runs on 2,000: of the same notes, and of others.

    Returns:
      The root, the URIs of the runs, and what became of each.
    """
    root, runs, outcomes = tmp_path_factory.mktemp("root"), list[str](), list[str]()
    other = [(number + 500, family) for number, family in TRAIN]
    for name, notes, num_samples in (
        ("whole", TRAIN, 8_000),
        ("short", TRAIN, 2_000),
        ("other", other, 2_000),
    ):
        train, test = (
            validate(commit_notes(root, f"{name}-{side}", named, num_samples=num_samples))
            for side, named in (("train", notes), ("test", TEST))
        )
        plan = plan_run(
            train=train,
            test=test,
            experiment=Experiment(models=(NAME,), epochs=1, batch_size=8),
            root=str(root),
            backend=backend.NAME,
            holdout_mode="freeze",
        )
        train_model(plan, NAME, cache_dir=root / "cache")
        evaluate_model(plan, NAME, cache_dir=root / "cache")
        finish_run(plan)
        found = promote(plan.uri, NAME, root=str(root), cache_dir=root / "cache", margin=0.99)
        runs.append(plan.uri)
        outcomes.append(f"{found.outcome}: {found.why}")
    return root, runs, outcomes


def test_promote_compares_models_of_different_lengths_on_the_same_notes(
    shorter: tuple[Path, list[str], list[str]],
) -> None:
    root, runs, outcomes = shorter
    gate = current_holdout(str(root))
    assert gate is not None
    assert outcomes[0].startswith("promoted")
    assert not outcomes[1].startswith("refused")
    record = load_run(runs[1])
    sha = record.models[NAME].trainings[0].model_sha256
    stored = pq.read_table(f"{gate.uri}/predictions/{sha}.parquet")
    model = decode_model(Path(f"{runs[1]}/{NAME}/model.keras").read_bytes())
    # The same notes have the same rows in this data set.
    dataset = open_dataset(record.datasets["train"].manifest_uri)
    audio = dataset.audio(gate.notes["row"].to_pylist())[..., np.newaxis]
    assert audio.shape[1:] == (2_000, 1)
    found = np.array(stored["probabilities"].to_pylist())
    np.testing.assert_allclose(found, model.predict(audio, verbose=0), atol=1e-5)
    assert stored["audio_digest"].to_pylist() == gate.notes["audio_digest"].to_pylist()


def test_promote_refuses_a_model_for_which_held_out_notes_are_not_stored(
    shorter: tuple[Path, list[str], list[str]],
) -> None:
    root, runs, outcomes = shorter
    assert outcomes[2].startswith("refused: its notes keep 2,000 samples and those of the gate")
    gate, record = current_holdout(str(root)), load_run(runs[2])
    assert gate is not None
    with pytest.raises(DatasetError, match=r"takes 2,000, do not hold all of them"):
        score_holdout(
            gate,
            f"{runs[2]}/{NAME}",
            model_sha256=record.models[NAME].trainings[0].model_sha256,
            batch_size=8,
            cache_dir=root / "cache",
        )


def root_of(plan: RunPlan) -> Path:
    return Path(plan.uri).parents[1]


def gate_under(plan: RunPlan) -> Holdout:
    found = current_holdout(str(root_of(plan)))
    assert found is not None
    return found


def test_runs_say_what_they_trained_on_and_no_gate_note_is_among_it(plans: list[RunPlan]) -> None:
    gated = set(gate_under(plans[0]).notes["audio_digest"].to_pylist())
    for plan in plans:
        met = load_trained_notes(plan.model_uri(NAME)).to_pylist()
        trained = [note for note in met if note["part"] == "train"]
        assert [note["row"] for note in trained] == training_rows(plan)[0].tolist()
        assert not gated & {note["audio_digest"] for note in trained}


def test_promote_decides_without_any_test_data(plans: list[RunPlan]) -> None:
    root = root_of(plans[0])
    found = [
        promote(plan.uri, NAME, root=str(root), cache_dir=root / "cache", margin=0.99)
        for plan in plans
    ]
    # At this margin only the loss of a family could keep the champion.
    assert found[0].outcome == "promoted"
    assert [promotion.gate.look for promotion in found if promotion.gate] == [1, 2]
    assert len(history(str(root), NAME)) == 1 + (found[1].outcome == "promoted")
    assert len(load_looks(gate_under(plans[0]))) == 2
    assert found[1].figures["num_notes"] == gate_under(plans[0]).notes.num_rows


def test_score_gate_stores_what_the_model_answers(plans: list[RunPlan]) -> None:
    plan, gate = plans[1], gate_under(plans[1])
    sha = hashlib.sha256(Path(plan.model_uri(NAME, "model.keras")).read_bytes()).hexdigest()
    cache = root_of(plan) / "cache"
    found = score_holdout(
        gate, plan.model_uri(NAME), model_sha256=sha, batch_size=8, cache_dir=cache
    )
    dataset = open_dataset(gate.manifest_uri)
    model = decode_model(Path(plan.model_uri(NAME, "model.keras")).read_bytes())
    audio = dataset.audio(gate.notes["row"].to_pylist())[..., np.newaxis]
    np.testing.assert_allclose(found.probabilities, model.predict(audio, verbose=0), atol=1e-5)
    stored = pq.read_table(f"{gate.uri}/predictions/{sha}.parquet")
    assert stored["note_str"].to_pylist() == gate.notes["note_str"].to_pylist()
    assert not any(stored["instrument_seen"].to_pylist())


def test_score_gate_refuses_another_model_than_the_one_that_is_meant(plans: list[RunPlan]) -> None:
    plan = plans[0]
    with pytest.raises(DatasetError, match="is not the model that was asked for, of digest 00000"):
        score_holdout(
            gate_under(plan),
            plan.model_uri(NAME),
            model_sha256="0" * 64,
            batch_size=8,
            cache_dir=root_of(plan) / "cache",
        )
