import json
import subprocess
import sys
from typing import Any

import pytest

from pipelines.errors import ConfigError
from pipelines.experiment import Experiment


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("models", ("resnet",), "models must be among preliminary, optimised, got 'resnet'"),
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
