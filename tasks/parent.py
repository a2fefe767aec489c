"""Processes that train end with the one that started them."""

import multiprocessing
import os
import threading
from functools import cache
from multiprocessing.connection import wait


@cache
def end_with_parent() -> None:
    """End this process when its parent has ended; does nothing in a process that has none.

    A pool's processes wait for work for ever when the one that gives it was killed.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    # Training is safe to leave at any moment.
    os._exit(1)
