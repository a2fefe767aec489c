"""Memory of the process: how much there is, and that the next step takes what the last one freed.

A step of the optimised model frees gigabytes in tensors of 65 MB. glibc gives each back to the
system and faults it in again, page by page, which took two fifths of the processor time of training
on a CPU; docs/performance.md has the figures. Elsewhere than with glibc nothing is done.
"""

import ctypes
import sys
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
