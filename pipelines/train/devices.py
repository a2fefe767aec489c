"""GPUs and memory of this machine; importing it starts no backend and does not import NumPy."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

# One training uses about this many processors in its matrix products: two at a time on fewer slow
# each other down.
CPUS_PER_TRAINING: Final = 16

# The names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4
_M_ARENA_MAX: Final = -8
_NEVER: Final = 2**31 - 1

# Control groups of version 2, then of version 1.
_CGROUP: Final = Path("/sys/fs/cgroup")
_CGROUP_LIMITS: Final = ("memory.max", "memory/memory.limit_in_bytes")


def assign_devices(num_models: int, *, gpus: Sequence[str], num_cpus: int) -> Sequence[str | None]:
    """Return the device of each training that may run at the same time.

    Args:
      gpus: GPUs to use, as CUDA_VISIBLE_DEVICES names them.

    Returns:
      A GPU for each training, None for the processors; at least one, at most one per model.
    """
    if gpus:
        return tuple(gpus[:num_models])
    return (None,) * max(1, min(num_models, num_cpus // CPUS_PER_TRAINING))


def usable_gpus() -> Sequence[str]:
    """Return the GPUs that this process may use; none without the driver's tool.

    No backend is started: one that has seen a GPU keeps it from the processes that come after.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip())
    return query_gpus("index")


def query_gpus(field: str, *, gpu: str | None = None) -> tuple[str, ...]:
    """Return what the driver's tool nvidia-smi reports, one line per GPU; nothing without it.

    Args:
      field: a property, such as `name`; numbers come without their unit.
      gpu: the only GPU to ask for.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    command = [tool, f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    if gpu is not None:
        command.append(f"--id={gpu}")
    result = subprocess.run(  # noqa: S603 # fixed but for the number of the GPU
        command, capture_output=True, text=True, timeout=30, check=False
    )
    return tuple(result.stdout.splitlines()) if result.returncode == 0 else ()


def keep_freed_memory() -> bool:
    """Make malloc keep what is freed; return whether this system can do so.

    A step of the optimised model frees gigabytes in tensors of 65 MB. glibc returns each to the
    system and faults it in again, page by page, which took two fifths of the processor time of
    training on a CPU; docs/performance.md has the measurements. Does nothing on other allocators.

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


def machine_bytes(group: Path = _CGROUP) -> int:
    """Return the bytes of memory that this machine has, or the container that the process is in.

    Args:
      group: folder of the control groups.
    """
    limits = [int(psutil.virtual_memory().total)]
    for name in _CGROUP_LIMITS:
        path = group / name
        if path.exists() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)


def available_bytes(group: Path = _CGROUP) -> int:
    """Return the bytes of memory that this process may still take, also in a container.

    Args:
      group: folder of the control groups.
    """
    free = int(psutil.virtual_memory().available)
    limit = _container_bytes(group)
    return free if limit is None else min(free, limit)


def _container_bytes(group: Path) -> int | None:
    """Return the bytes that the container's limit leaves, None without a limit.

    Cached files count as free. Source: the kernel's documentation of version 2 of control groups.
    """
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        statistics = (group / "memory.stat").read_text().split()
        cached = int(statistics[statistics.index("inactive_file") + 1])
    except (OSError, ValueError):
        # There are no such groups, or `max` says "max".
        return None
    return max(0, limit - used + cached)
