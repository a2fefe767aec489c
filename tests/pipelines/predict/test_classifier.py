"""Classifiers answer as the models of their runs do."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.architecture import PRELIMINARY
from pipelines.errors import ConfigError, DatasetError
from pipelines.experiment import Experiment
from pipelines.notes import CLASSES
from pipelines.predict.classifier import Classifier, load_classifier
from pipelines.registry.champions import Entry, set_champion
from pipelines.registry.runs import load_run
from pipelines.studies.study import Trial
from pipelines.studies.trial import run_trial
from pipelines.validate.verdicts import validate
from tests.pipelines.train.conftest import TRAIN
from tests.pipelines.train.tiny import commit_notes

NARROW = PRELIMINARY.change(name="narrow", blocks=[{"filters": 4}])
EXPERIMENT = Experiment(
    models=("narrow",), architectures=(NARROW,), protocol="validation", epochs=1, batch_size=4
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    commit_notes(folder, "train", TRAIN, num_samples=1_000)
    validation = validate(f"{folder}/notes/train/manifest.json")
    trial = Trial("narrow", EXPERIMENT)
    uri = run_trial(trial, 0, validation, root=str(folder), cache_dir=folder / "cache")
    record = load_run(uri)
    entry = Entry(
        number=1,
        model="narrow",
        run_id=record.run_id,
        model_uri=f"runs/{record.run_id}/narrow/model.keras",
        model_sha256=record.models["narrow"].trainings[0].model_sha256,
        gate=None,
        verdict="first",
        why="it is the first",
        figures={},
        by="hand",
    )
    set_champion(str(folder), entry)
    return folder


@pytest.fixture(scope="module")
def run_id(root: Path) -> str:
    return next((root / "runs").iterdir()).name


@pytest.fixture(scope="module")
def classifier(root: Path) -> Classifier:
    return load_classifier(str(root))


def test_champion_and_its_run_give_the_same_probabilities(
    root: Path, run_id: str, classifier: Classifier
) -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, 64_000)
    of_run = load_classifier(str(root), run=run_id, model="narrow").classify(audio, 16_000)
    champion = classifier.classify(audio, 16_000)
    assert champion == of_run
    assert list(champion.probabilities) == list(CLASSES)
    assert sum(champion.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert champion.probabilities[champion.family] >= champion.probabilities[champion.second]


def test_file_and_array_give_the_same(classifier: Classifier, tmp_path: Path) -> None:
    audio = np.random.default_rng(1).normal(0, 0.1, (30_000, 2)).astype(np.float32)
    path = tmp_path / "note.wav"
    soundfile.write(path, audio, 16_000, subtype="FLOAT")
    assert classifier.classify_file(str(path)) == classifier.classify(audio, 16_000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "other"}, "there is no champion of other"),
        ({"model": "../x"}, "is not a name"),
        ({"run": "feed"}, "no run 'feed'"),
    ],
)
def test_what_is_not_there_is_refused(root: Path, arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_classifier(str(root), **arguments)


def test_root_without_a_champion_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="train one with nsynth retrain, or name a run"):
        load_classifier(str(tmp_path))


def test_damaged_model_is_named(root: Path, run_id: str) -> None:
    path = root / "runs" / run_id / "narrow" / "model.keras"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    try:
        with pytest.raises(DatasetError, match=r"model\.keras is damaged or was changed"):
            load_classifier(str(root))
    finally:
        path.write_bytes(data)


def test_classifier_needs_neither_prefect_nor_beam() -> None:
    code = (
        "import sys, pipelines.predict.classifier; "
        "sys.exit(bool({'prefect', 'apache_beam'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_example_of_the_documentation_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "using.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    audio = np.random.default_rng(2).normal(0, 0.1, 64_000).astype(np.float32)
    soundfile.write(tmp_path / "note.wav", audio, 16_000, subtype="FLOAT")
    (tmp_path / "data").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "using.md", "exec"), {})  # noqa: S102 - a page of this project
    assert capsys.readouterr().out.split()[0] in CLASSES
