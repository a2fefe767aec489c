import numpy as np

from pipelines.analysis.cost import MIN_ROUNDS, step_seconds
from pipelines.experiment import Experiment
from pipelines.parameters import DEFAULT_MODELS
from pipelines.train.model.architectures import build

AUDIO = np.random.default_rng(0).normal(0, 0.1, (4, 8_000)).astype(np.float32)
LABELS = np.arange(4)


def test_step_seconds_times_both_models_at_each_length() -> None:
    for name in DEFAULT_MODELS:
        found = step_seconds(name, Experiment(), AUDIO, LABELS, lengths=(50, 100), num_rounds=5)
        assert np.shape(found) == (5, 2)
        assert np.min(found) > 0


def test_step_seconds_begins_no_round_once_the_budget_is_spent() -> None:
    found = step_seconds(
        "preliminary", Experiment(), AUDIO, LABELS, lengths=(50,), num_rounds=9, budget_sec=0
    )
    assert len(found) == MIN_ROUNDS


def test_build_grows_with_the_samples_of_a_note() -> None:
    small, large = (build("optimised", Experiment(), num_samples=n) for n in (1_000, 8_000))
    assert large.count_params() == 8_838_158
    # Two samples more are one more position behind the pooling, of 92 channels to 24 units.
    assert large.count_params() - small.count_params() == 3_500 * 92 * 24
    of_any_length = [build("preliminary", Experiment(), num_samples=n) for n in (1_000, 8_000)]
    assert {model.count_params() for model in of_any_length} == {9_098}
