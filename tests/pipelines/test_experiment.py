import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.architecture import OPTIMISED, PRELIMINARY, Block
from pipelines.errors import ConfigError
from pipelines.experiment import Experiment, experiments_of
from pipelines.parameters import TrainingRequest


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "models",
            ("resnet",),
            "models must be among preliminary, optimised, spectral, spectral-full, got 'resnet'",
        ),
        ("models", (), "at least one model"),
        ("models", ("optimised", "optimised"), "none twice"),
        ("epochs", 0, "epochs must be a whole number of at least 1, got 0"),
        ("batch_size", 2.5, "batch_size must be a whole number of at least 1, got 2.5"),
        ("seed", -1, "seed must be a whole number of at least 0 and at most 4294967295, got -1"),
        ("seed", 2**32, "got 4294967296"),
        ("validation_fraction", 1.0, "validation_fraction must be between 0 and 1, got 1.0"),
        ("learning_rate", 0.0, "learning_rate must be above 0, got 0.0"),
        ("learning_rate", float("nan"), "learning_rate must be above 0, got nan"),
        ("dropout", 1.0, "dropout must be at least 0 and below 1, got 1.0"),
        ("negative_slope", -0.1, "negative_slope must be from 0 to 1, got -0.1"),
        ("dense_activation", "tanh", "dense_activation must be one of .*, got 'tanh'"),
    ],
)
def test_experiment_refuses_a_value_by_name(field: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Experiment(**{field: value})


def test_experiment_survives_json() -> None:
    experiment = Experiment(models=("optimised",), epochs=3, seed=7)
    assert Experiment.from_dict(json.loads(json.dumps(experiment.to_dict()))) == experiment


def test_experiment_takes_a_list_of_models() -> None:
    names: Any = ["preliminary"]
    assert hash(Experiment(models=names)) == hash(Experiment(models=("preliminary",)))


def test_planning_never_imports_keras() -> None:
    modules = "pipelines.experiment, pipelines.train.selection.run_plan, pipelines.registry.runs"
    code = f"import sys, {modules}; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_parts_that_are_not_given_are_what_the_models_agree_in() -> None:
    assert Experiment().learning_rate == 0.001
    assert Experiment(models=("preliminary",)).dropout == 0.5
    quick = PRELIMINARY.change(name="quick", fitting={"learning_rate": 0.01})
    both = Experiment(models=("preliminary", "quick"), architectures=(quick,))
    assert both.learning_rate is None
    assert both.architecture("quick") == quick
    assert both.architecture("preliminary") == PRELIMINARY


def test_given_parts_change_the_models_that_have_them() -> None:
    experiment = Experiment(dropout=0.25, learning_rate=0.01)
    assert experiment.architecture("optimised").head.dropout == 0.25
    assert experiment.architecture("preliminary").head.dropout is None
    assert experiment.architecture("preliminary").fitting.learning_rate == 0.01


def test_identity_has_the_digest_of_each_architecture_that_is_not_a_reference() -> None:
    own = OPTIMISED.change(name="own", head={"dropout": 0.1})
    experiment = Experiment(models=("optimised", "own"), architectures=(own,))
    assert "architectures" not in Experiment().identity()
    assert list(experiment.identity()["architectures"]) == ["own"]
    other = replace(experiment, architectures=(own.change(blocks=own.blocks[:2]),))
    assert experiment.identity() != other.identity()
    assert Experiment.from_dict(json.loads(json.dumps(experiment.to_dict()))) == experiment


def test_models_may_be_files(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('base = "preliminary"\nname = "narrow"\n[[blocks]]\nfilters = 4\n')
    request = TrainingRequest(models=("optimised", str(path)))
    (experiment,) = experiments_of(request)
    assert experiment.models == ("optimised", "narrow")
    assert experiment.architecture("narrow").blocks == (Block(filters=4),)


def test_changes_apply_to_every_model() -> None:
    request = TrainingRequest(changes=("fitting.label_smoothing=0.1", "head.pooling=maximum"))
    (experiment,) = experiments_of(request)
    for model in ("preliminary", "optimised"):
        value = experiment.architecture(model)
        assert (value.fitting.label_smoothing, value.head.pooling) == (0.1, "maximum")
    assert list(experiment.identity()["architectures"]) == ["preliminary", "optimised"]


@pytest.mark.parametrize("text", ["head.dropout=2", "width=3", "head..dropout=0.1"])
def test_change_that_no_architecture_has_is_refused(text: str) -> None:
    request = TrainingRequest.model_construct(**dict(TrainingRequest()) | {"changes": (text,)})
    with pytest.raises(ConfigError, match=r"not an architecture|expected FIELD=VALUE"):
        experiments_of(request)
