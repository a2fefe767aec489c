import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from pipelines.train.model import backend


def test_device_names_backend_and_version() -> None:
    assert backend.device().endswith(f"({backend.NAME} {version(backend.NAME)})")
    assert backend.device().startswith("cpu" if backend.on_cpu() else "gpu")


def test_backend_that_is_not_there_is_one_sentence() -> None:
    code = "import pipelines.train.model.backend"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": "abacus"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ConfigError: Keras cannot start its backend 'abacus'" in done.stderr


def test_without_banner_passes_on_everything_else(capfd: pytest.CaptureFixture[str]) -> None:
    with backend._without_banner():
        os.write(2, b"I0000 00:00:1 cudart_stub.cc:31] no drivers\na real problem\n")
    assert capfd.readouterr().err == "a real problem\n"


def test_without_banner_gives_standard_error_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), backend._without_banner():
        raise KeyError
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


@pytest.mark.skipif(not backend.on_cpu(), reason="this machine has a GPU")
def test_free_device_bytes_is_none_without_a_device() -> None:
    assert backend.free_device_bytes() is None


def test_many_models_are_trained_in_one_process_without_messages() -> None:
    code = """
import numpy as np
from pipelines.train.model import backend
from pipelines.train.samples.batches import Batches, Notes
from pipelines.experiment import Experiment
from pipelines.train.fitting.fit import init_model
notes = Notes(np.zeros((5, 8000), np.float32), np.arange(5), np.arange(5))
for _ in range(2):
    model = init_model("preliminary", Experiment())
    batches = Batches(notes, batch_size=3, seed=0)
    model.fit(batches, validation_data=batches, verbose=0)
print(backend.device())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stderr, done.stdout.count("\n")) == ("", 1)
