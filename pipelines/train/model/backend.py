"""Keras on the backend that is set, started without its start-up messages.

Every module that needs Keras imports it from here. KERAS_BACKEND chooses among tensorflow (the
default), jax and torch; nothing else in this project depends on which one runs.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from pipelines.errors import ConfigError
from pipelines.train.devices import query_gpus

# TensorFlow reads this when it is imported; 3 leaves fatal messages only.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# TensorFlow's native code prints these while it starts, whatever its log level.
_BANNER: Final = (b"WARNING: All log messages before absl::InitializeLog()", b"I0000 ", b"E0000 ")


@contextmanager
def _without_banner() -> Iterator[None]:
    """Hold back what is written to standard error, then pass on all but the banner."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            for line in held:
                if not line.startswith(_BANNER):
                    os.write(2, line)


try:
    with _without_banner():
        import keras
        from keras.src.trainers.data_adapters.data_adapter import DataAdapter
except (ImportError, ValueError) as err:  # the backend is not installed, or does not exist
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

# The class that `fit` and `predict` take batches from without unpacking them; Keras wraps arrays
# and generators in it. It is not documented, so that the tests must pass after an upgrade.
BatchSource: Final[Any] = DataAdapter

# An epoch's last batch is smaller, so that each model is traced twice. TensorFlow counts traces of
# all models as one, and would warn about retracing when several models train on a small data set.
logging.getLogger("tensorflow").addFilter(lambda record: "retracing" not in record.getMessage())

# tensorflow, jax or torch
NAME: Final[str] = keras.backend.backend()


def device() -> str:
    """Return where Keras computes, in words such as `cpu (tensorflow 2.21.0)`."""
    kind = "cpu" if on_cpu() else " ".join(["gpu", *_query_gpu("name")])
    return f"{kind} ({NAME} {version(NAME)})"


@cache
def on_cpu() -> bool:
    """Return whether Keras places its tensors on the processor; it takes a GPU if there is one."""
    with _without_banner():
        place: Any = keras.ops.zeros(1).device
    return "cpu" in str(place).lower()


def jit_compile() -> bool | str:
    """Return the `jit_compile` of models.

    With XLA on a CPU, TensorFlow trains the optimised model at a twentieth of its speed without.
    """
    return False if NAME == "tensorflow" and on_cpu() else "auto"


def free_device_bytes() -> int | None:
    """Return the bytes that are free on the GPU; None on a CPU, and where they are unknown.

    Unknown with TensorFlow too, which takes all memory when it starts and does not report its use.
    """
    if on_cpu() or NAME == "tensorflow":
        return None
    if NAME == "jax":
        # JAX takes its share at the start as well, and reports what it has left of it.
        with _without_banner():
            tensor: Any = keras.ops.zeros(1)
        (place,) = tensor.devices()
        stats = place.memory_stats() or {}
        return int(stats["bytes_limit"] - stats["bytes_in_use"]) if "bytes_limit" in stats else None
    free = _query_gpu("memory.free")
    return int(free[0]) * 2**20 if free and free[0].isdigit() else None


def _query_gpu(field: str) -> tuple[str, ...]:
    """Return a property of the GPU that the backend takes, the first one."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    return query_gpus(field, gpu=first or None)[:1]
