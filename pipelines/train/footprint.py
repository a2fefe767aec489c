"""What a training step needs of the processor's memory, told before it is asked for.

A GPU's allocator raises an error that names the shortage. On a processor, TensorFlow has been seen
to end in a segmentation fault instead, and Linux kills the process: no sentence can come from that.
"""

import math
import os
from pathlib import Path
from typing import Final

from pipelines.errors import ConfigError
from pipelines.train.backend import device, keras, on_cpu

_CGROUP_LIMITS: Final = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)

_COPIES: Final = 1.5
"""How often a step holds the layers' outputs at least: 1.6 to 2.3 times was measured for both
models on TensorFlow, with batches of 128 and 512."""

_BYTES_A_PARAMETER: Final = 16
"""float32: itself, its gradient, and Adam's two moments."""


def check_footprint(model: keras.Model, *, batch_size: int) -> None:
    """Refuses a batch that this machine's memory can never hold; asks nothing of a GPU.

    Raises:
      ConfigError: the batch is too large.
    """
    needed, there = step_bytes(model, batch_size), machine_bytes()
    if on_cpu() and needed > there:
        raise ConfigError(
            f"memory does not suffice for {model.name} with batches of {batch_size} on {device()}: "
            f"{needed / 1e9:,.0f} GB at least where {there / 1e9:,.0f} GB are; choose a smaller "
            "--batch-size"
        )


def step_bytes(model: keras.Model, batch_size: int) -> int:
    """Bytes that one training step takes at least."""
    outputs = sum(math.prod(layer.output.shape[1:]) for layer in model.layers)
    samples = math.prod(model.input_shape[1:])
    notes = int(batch_size * (samples + outputs * _COPIES) * 4)
    return notes + int(model.count_params()) * _BYTES_A_PARAMETER


def machine_bytes() -> int:
    """Bytes of memory that this machine, or the container that the process runs in, has."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in _CGROUP_LIMITS:
        path = Path(name)
        if path.exists() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)
