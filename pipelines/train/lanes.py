"""How many trainings run at a time, and where; knows of no model."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from typing import Final

CPUS_A_TRAINING: Final = 16
"""One training keeps that many processors busy, as far as its matrix products go: two at a time on
fewer take from each other what they need."""


def lanes(num_models: int, *, gpus: Sequence[str], num_cpus: int) -> Sequence[str | None]:
    """Where trainings run at the same time.

    Args:
      gpus: that may be used, as CUDA_VISIBLE_DEVICES names them.

    Returns:
      A GPU for each lane, None on processors; at least one lane, and no more than models.
    """
    if gpus:
        return tuple(gpus[:num_models])
    return (None,) * max(1, min(num_models, num_cpus // CPUS_A_TRAINING))


def usable_gpus() -> Sequence[str]:
    """The GPUs that this process may use, by the driver's tool; none where it is not there.

    Starts no backend: one that has seen a GPU keeps it from the processes that come after.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip())
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, "--query-gpu=index", "--format=csv,noheader"]
    asked = subprocess.run(  # noqa: S603 # fixed
        command, capture_output=True, text=True, timeout=30, check=False
    )
    return tuple(asked.stdout.split()) if asked.returncode == 0 else ()
