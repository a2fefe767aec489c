"""Memory of the process: how much there is, and that the next step takes what the last one freed.

A step of the optimised model frees gigabytes in tensors of 65 MB. glibc gives each back to the
system and faults it in again, page by page, which took two fifths of the processor time of training
on a CPU; docs/performance.md has the figures. Elsewhere than with glibc nothing is done.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

# The names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4
_M_ARENA_MAX: Final = -8
_NEVER: Final = 2**31 - 1


def keep_freed_memory() -> bool:
    """Makes malloc keep what is freed, from now on; says whether this system knows how.

    Must run before NumPy is imported: its threads would take arenas of their own.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # Only the main arena can hold blocks of any size without mapping each by itself.
    settings = ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER))
    return all(mallopt(name, value) == 1 for name, value in settings)


def available_bytes() -> int:
    """Bytes that this process may still take, in a container as well."""
    free = int(psutil.virtual_memory().available)
    limit = _container_bytes(Path("/sys/fs/cgroup"))
    return free if limit is None else min(free, limit)


def _container_bytes(group: Path) -> int | None:
    """What the container's limit leaves, None without one; what it caches of files can go.

    Source: the kernel's documentation of version 2 of control groups.
    """
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        statistics = (group / "memory.stat").read_text().split()
        cached = int(statistics[statistics.index("inactive_file") + 1])
    except (OSError, ValueError):
        # There are no such groups, or `max` says "max".
        return None
    return max(0, limit - used + cached)


CPUS_A_TRAINING: Final = 16
"""One training keeps that many processors busy, as far as its matrix products go: two at a time on
fewer take from each other what they need."""


def assign_devices(num_models: int, *, gpus: Sequence[str], num_cpus: int) -> Sequence[str | None]:
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


_CGROUP_LIMITS: Final = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


def machine_bytes() -> int:
    """Bytes of memory that this machine, or the container that the process runs in, has."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in _CGROUP_LIMITS:
        path = Path(name)
        if path.exists() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)
