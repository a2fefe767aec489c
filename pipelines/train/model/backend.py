"""Keras on whichever backend is set: the one place that starts it, quietly, and names its device.

Every module that needs Keras takes it from here. KERAS_BACKEND chooses among tensorflow (the
default), jax and torch; nothing else in this project knows which one runs.
"""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from pipelines.errors import ConfigError

# TensorFlow reads this when it is imported; 3 leaves fatal messages only.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_BANNER: Final = (b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ", b"E0000 ")
"""What TensorFlow's native code prints while it starts, whatever its log level."""


@contextmanager
def _without_banner() -> Iterator[None]:
    """Holds back what is written to standard error, then passes on all but the banner."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not line.startswith(_BANNER):
                    os.write(2, line)


try:
    with _without_banner():
        import keras
        from keras.src.trainers.data_adapters.data_adapter import DataAdapter
except (ImportError, ValueError) as err:  # the backend is not installed, or there is none such
    raise ConfigError(
        f"Keras cannot start its backend {os.environ.get('KERAS_BACKEND', 'tensorflow')!r}: {err}; "
        "install it, or set KERAS_BACKEND to another"
    ) from err

__all__ = [
    "NAME",
    "BatchSource",
    "device",
    "free_device_bytes",
    "jit_compile",
    "keras",
    "on_cpu",
]

BatchSource: Final[Any] = DataAdapter
"""The class of what `fit` and `predict` take batches from without a look into them. Keras wraps
arrays and generators in it, and documents it nowhere: after an upgrade the tests must pass."""

# An epoch's last batch is smaller, so that each model is traced twice. TensorFlow counts traces of
# all models as one, and would tell whoever trains several on few notes to mend the code.
logging.getLogger("tensorflow").addFilter(lambda record: "retracing" not in record.getMessage())

NAME: Final[str] = keras.backend.backend()
"""tensorflow, jax or torch."""


def device() -> str:
    """Where Keras computes, in words such as `cpu (tensorflow 2.21.0)`."""
    kind = "cpu" if on_cpu() else " ".join(["gpu", *_gpu_names()])
    return f"{kind} ({NAME} {version(NAME)})"


@cache
def on_cpu() -> bool:
    """Whether Keras places its tensors on the processor; it takes a GPU where it finds one."""
    with _without_banner():
        where: Any = keras.ops.zeros(1).device
    return "cpu" in str(where).lower()


def jit_compile() -> bool | str:
    """What to compile models with.

    With XLA on a CPU, TensorFlow trains the optimised model at a twentieth of its speed without.
    """
    return False if NAME == "tensorflow" and on_cpu() else "auto"


def free_device_bytes() -> int | None:
    """Bytes free on the GPU; None on a CPU, and where neither backend nor driver tells.

    None with TensorFlow too, which takes all memory when it starts, and does not tell either.
    """
    if on_cpu() or NAME == "tensorflow":
        return None
    with _without_banner():
        tensor: Any = keras.ops.zeros(1)
    if NAME == "jax":
        # JAX takes its share at the start as well, and says what it has left of it.
        (where,) = tensor.devices()
        told = where.memory_stats() or {}
        return int(told["bytes_limit"] - told["bytes_in_use"]) if "bytes_limit" in told else None
    free = _ask_driver("memory.free", units=False)
    return int(free[0]) * 2**20 if free and free[0].isdigit() else None


def _gpu_names() -> list[str]:
    """The first GPU's name, if its driver's tool is there to ask; else nothing."""
    return _ask_driver("name")


def _ask_driver(field: str, *, units: bool = True) -> list[str]:
    """What the driver's tool says of the GPU that a backend takes, if it is there to ask."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    form = "csv,noheader" if units else "csv,noheader,nounits"
    command = [tool, f"--query-gpu={field}", f"--format={form}"]
    if first := os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip():
        command.append(f"--id={first}")
    asked = subprocess.run(  # noqa: S603 # fixed but for the number of the GPU
        command, capture_output=True, text=True, timeout=30, check=False
    )
    return asked.stdout.splitlines()[:1] if asked.returncode == 0 else []
