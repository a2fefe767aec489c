"""Trials are runs that are scored without test notes."""

from pathlib import Path

import pyarrow.compute as pc
import pytest

from pipelines.architecture import PRELIMINARY
from pipelines.experiment import Experiment
from pipelines.registry.runs import load_run
from pipelines.studies.results import summarise_trial
from pipelines.studies.study import Trial
from pipelines.studies.trial import run_trial
from pipelines.train.selection.run_notes import load_run_notes
from pipelines.validate.verdicts import Validation, validate
from tests.pipelines.train.conftest import TRAIN
from tests.pipelines.train.tiny import commit_notes

NARROW = PRELIMINARY.change(name="narrow", blocks=[{"filters": 4}])
EXPERIMENT = Experiment(
    models=("narrow",), architectures=(NARROW,), protocol="validation", epochs=1, batch_size=4
)
FIRST = Trial("narrow", EXPERIMENT)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    commit_notes(folder, "train", TRAIN, num_samples=1_000)
    return folder


@pytest.fixture(scope="module")
def validation(root: Path) -> Validation:
    return validate(f"{root}/notes/train/manifest.json")


@pytest.fixture(scope="module")
def run_uri(root: Path, validation: Validation) -> str:
    return run_trial(FIRST, 0, validation, root=str(root), cache_dir=root / "cache")


def test_trial_scores_the_notes_that_validate_and_no_others(run_uri: str) -> None:
    notes = load_run_notes(run_uri)
    parts = {
        part: set(notes.filter(pc.equal(notes["part"], part))["row"].to_pylist())
        for part in ("train", "valid", "test")
    }
    assert parts["test"] == parts["valid"]
    assert not parts["test"] & parts["train"]
    record = load_run(run_uri)
    assert record.datasets["test"].manifest_digest == record.datasets["train"].manifest_digest


def test_trial_is_found_again(root: Path, validation: Validation, run_uri: str) -> None:
    before = (root / "runs").stat().st_mtime_ns, load_run(run_uri).created
    again = run_trial(FIRST, 0, validation, root=str(root), cache_dir=root / "cache")
    assert again == run_uri
    assert ((root / "runs").stat().st_mtime_ns, load_run(run_uri).created) == before


def test_summary_compares_a_trial_with_its_base(
    root: Path, validation: Validation, run_uri: str
) -> None:
    wider = NARROW.change(name="wider", blocks=[{"filters": 8}])
    trial = Trial("wider", EXPERIMENT.with_architecture(wider), change="8 filters", base="narrow")
    other = run_trial(trial, 0, validation, root=str(root), cache_dir=root / "cache")
    result = summarise_trial(trial, [other], base_uris=[run_uri], base_model="narrow")
    first = summarise_trial(FIRST, [run_uri])
    assert result.gain == pytest.approx(result.accuracy - first.accuracy)
    assert (first.gain, result.base) == (None, "narrow")
    assert result.num_parameters > first.num_parameters
    assert 0 <= (first.dead_units or 0) <= 1
