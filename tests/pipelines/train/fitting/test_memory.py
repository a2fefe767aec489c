import pytest

from pipelines.errors import ConfigError
from pipelines.experiment import Experiment
from pipelines.parameters import DEFAULT_MODELS
from pipelines.train.fitting.fit import check_footprint, step_bytes
from pipelines.train.model.architectures import build
from pipelines.train.model.backend import on_cpu


@pytest.mark.parametrize(("name", "measured_gb"), [("preliminary", 0.88), ("optimised", 3.1)])
def test_step_bytes_stay_below_what_was_measured(name: str, measured_gb: float) -> None:
    # Measured: growth of the process with batches of 128.
    assert 0.5 * measured_gb < step_bytes(build(name, Experiment()), 128) / 1e9 < measured_gb


@pytest.mark.skipif(not on_cpu(), reason="a GPU says for itself what it lacks")
@pytest.mark.parametrize("name", DEFAULT_MODELS)
def test_check_footprint_refuses_what_can_never_fit(name: str) -> None:
    model = build(name, Experiment())
    check_footprint(model, batch_size=32)
    with pytest.raises(ConfigError, match=r"batches of 10000000 on cpu.* GB are; choose a smaller"):
        check_footprint(model, batch_size=10_000_000)
