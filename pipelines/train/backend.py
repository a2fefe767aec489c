"""Keras on whichever backend is set: the one place that starts it, quietly, and names its device.

Every module that needs Keras takes it from here. KERAS_BACKEND chooses among tensorflow (the
default), jax and torch; nothing else in this project knows which one runs.
"""

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
except (ImportError, ValueError) as err:  # the backend is not installed, or there is none such
    raise ConfigError(
        f"Keras cannot start its backend {os.environ.get('KERAS_BACKEND', 'tensorflow')!r}: {err}; "
        "install it, or set KERAS_BACKEND to another"
    ) from err

__all__ = ["NAME", "device", "jit_compile", "keras", "on_cpu"]

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


def _gpu_names() -> list[str]:
    """The first GPU's name, if its driver's tool is there to ask; else nothing."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    asked = subprocess.run(  # noqa: S603 # a fixed command
        [tool, "--query-gpu=name", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return asked.stdout.splitlines()[:1] if asked.returncode == 0 else []
