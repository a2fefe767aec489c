from dataclasses import replace

import pytest

from pipelines.train.checkpoint import digest_of
from pipelines.train.experiment import Experiment
from pipelines.train.fit import untrained
from pipelines.train.variables import assign, shapes, values, weights


def test_assign_restores_seed_generator_and_optimiser_as_well() -> None:
    experiment = Experiment()
    first, other = (untrained("optimised", replace(experiment, seed=seed)) for seed in (0, 1))
    num_weights = len(first.get_weights())
    # The seed generator, the optimiser's step and learning rate, two moments a weight.
    assert len(values(first)) == num_weights + 1 + 2 + 2 * num_weights
    assert digest_of(values(first)) != digest_of(values(other))
    assign(other, values(first))
    assert digest_of(values(first)) == digest_of(values(other))
    assert digest_of(weights(first)) == digest_of(weights(other))


def test_assign_refuses_values_of_another_model() -> None:
    small, large = (untrained(name, Experiment()) for name in ("preliminary", "optimised"))
    assert shapes(small) != shapes(large)
    with pytest.raises(ValueError, match="The shape of the target variable"):
        assign(small, values(large))
