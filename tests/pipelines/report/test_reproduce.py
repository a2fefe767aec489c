import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.experiment import Experiment
from pipelines.registry.runs import load_run, store_run
from pipelines.report.reproduce import Commands, commands
from pipelines.report.results import load_results
from pipelines.validate.verdicts import Validation, validate
from tests.pipelines.report.run_folder import write_run
from tests.pipelines.train.tiny import commit_notes

NOTES = [(number, family) for number in range(3) for family in ("bass", "organ")]


def commands_of(
    root: Path,
    datasets: Mapping[str, Validation] | None = None,
    backend: str = "tensorflow",
    **choices: Any,
) -> Commands:
    """The commands of a run of these choices."""
    uri = write_run(root / "runs" / "a1b2", models={"tiny": 1.0})
    record = load_run(uri)
    experiment = Experiment(**{"epochs": 4, "seed": 7} | choices)
    store_run(
        replace(
            record,
            experiment=experiment,
            backend=backend,
            datasets=datasets or record.datasets,
        ),
        uri,
    )
    return commands(load_results(uri))


def test_commands_name_every_choice(tmp_path: Path) -> None:
    found = commands_of(tmp_path)
    assert found.from_sources is None
    words = shlex.split(found.from_datasets)
    assert words[:4] == ["nsynth", "train", "gone/manifest.json", "--test"]
    given = dict(zip(words[3::2], words[4::2], strict=True))
    assert given == {
        "--test": "gone/manifest.json",
        "--root": str(tmp_path),
        "--protocol": "reference",
        "--epochs": "4",
        "--batch-size": "32",
        "--validation-fraction": "0.33",
        "--seed": "7",
    }


def test_commands_start_from_the_sources_that_a_manifest_names(tmp_path: Path) -> None:
    root = tmp_path / "a root; with $odd names"
    datasets = {
        name: validate(commit_notes(root, name, NOTES[part:]))
        for part, name in enumerate(("train", "test"))
    }
    found = commands_of(root, datasets)
    assert found.from_sources is not None
    words = shlex.split(found.from_sources)
    file = f"{root}/notes/{{0}}/{{0}}.tfrecord"
    assert words[:6] == [
        *("nsynth", "retrain", "--train", file.format("train"), "--test", file.format("test")),
    ]
    assert words[-1] == "--no-promote"


@pytest.mark.parametrize(
    ("choices", "part"),
    [
        ({"models": ("optimised",)}, "--model optimised"),
        ({"train_fraction": 0.25}, "--train-fraction 0.25"),
        ({"protocol": "grouped"}, "train gone/manifest.json --root"),
        ({"backend": "jax"}, "KERAS_BACKEND=jax nsynth train"),
    ],
)
def test_commands_say(choices: dict[str, Any], part: str, tmp_path: Path) -> None:
    assert part in commands_of(tmp_path, **choices).from_datasets


def test_commands_name_the_notes_that_choose_the_epoch(tmp_path: Path) -> None:
    datasets = dict(load_run(write_run(tmp_path / "other")).datasets)
    valid = replace(datasets["test"], manifest_uri="v/manifest.json")
    found = commands_of(tmp_path, datasets | {"valid": valid}, protocol="official").from_datasets
    assert "train gone/manifest.json --valid v/manifest.json --test gone/manifest.json" in found
    assert "--validation-fraction" not in found


def test_commands_allow_as_many_defects_as_the_run_did(tmp_path: Path) -> None:
    record = load_run(write_run(tmp_path / "other"))
    test = record.datasets["test"]
    spoiled = replace(test, num_kept=test.num_kept - 2, dropped={"silent": 5})
    found = commands_of(tmp_path, dict(record.datasets) | {"test": spoiled})
    # 5 of 60 notes.
    assert "--max-dropped 0.084" in found.from_datasets


def test_commands_name_each_choice_that_is_not_the_default(tmp_path: Path) -> None:
    words = commands_of(tmp_path, learning_rate=0.01).from_datasets.split()
    assert words[words.index("--learning-rate") + 1] == "0.01"
    assert "--dropout" not in words
