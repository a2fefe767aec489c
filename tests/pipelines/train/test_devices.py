from pathlib import Path

import pytest

from pipelines.train.devices import assign_devices, usable_gpus


@pytest.mark.parametrize(
    ("num_models", "gpus", "num_cpus", "expected"),
    [
        (2, (), 2, (None,)),
        (2, (), 31, (None,)),
        (2, (), 32, (None, None)),
        (1, (), 64, (None,)),
        (2, ("0",), 64, ("0",)),
        (2, ("0", "1", "2"), 2, ("0", "1")),
        (1, ("3", "4"), 2, ("3",)),
    ],
)
def test_lanes_are_a_gpu_each_or_enough_processors(
    num_models: int, gpus: tuple[str, ...], num_cpus: int, expected: tuple[str | None, ...]
) -> None:
    assert assign_devices(num_models, gpus=gpus, num_cpus=num_cpus) == expected


@pytest.mark.parametrize(("named", "expected"), [("", ()), ("2", ("2",)), ("0, 3", ("0", "3"))])
def test_usable_gpus_are_those_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, named: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert usable_gpus() == expected


def test_usable_gpus_are_what_the_driver_lists(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 0\necho 1\n")
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert usable_gpus() == ("0", "1")


def test_usable_gpus_are_none_without_a_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert usable_gpus() == ()
