from dataclasses import replace

import pytest

from pipelines.experiment import Experiment
from pipelines.train.fitting.checkpoints import (
    assign_variables,
    digest_arrays,
    read_variables,
    read_weights,
)
from pipelines.train.fitting.fit import init_model


def test_assign_restores_seed_generator_and_optimiser_as_well() -> None:
    experiment = Experiment()
    first, other = (init_model("optimised", replace(experiment, seed=seed)) for seed in (0, 1))
    num_weights = len(first.get_weights())
    # The seed generator, the optimiser's step and learning rate, two moments a weight.
    assert len(read_variables(first)) == num_weights + 1 + 2 + 2 * num_weights
    assert digest_arrays(read_variables(first)) != digest_arrays(read_variables(other))
    assign_variables(other, read_variables(first))
    assert digest_arrays(read_variables(first)) == digest_arrays(read_variables(other))
    assert digest_arrays(read_weights(first)) == digest_arrays(read_weights(other))


def test_assign_refuses_values_of_another_model() -> None:
    small, large = (init_model(name, Experiment()) for name in ("preliminary", "optimised"))
    with pytest.raises(ValueError, match="The shape of the target variable"):
        assign_variables(small, read_variables(large))
