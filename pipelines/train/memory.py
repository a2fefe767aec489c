"""Memory of the process: what one training step frees, the next one takes.

A step of the optimised model frees gigabytes in tensors of 65 MB. glibc gives each back to the
system and faults it in again, page by page, which took two fifths of the processor time of training
on a CPU; docs/performance.md has the figures. Elsewhere than with glibc nothing is done.
"""

import ctypes
import sys
from typing import Final

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
