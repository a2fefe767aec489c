"""The end of training processes with the process that started them."""

import multiprocessing
import os
import threading
from functools import cache
from multiprocessing.connection import wait


@cache
def end_with_parent() -> None:
    """End this process when its parent has ended; do nothing in a process without a parent.

    The processes of a pool would wait for work permanently after the pool's owner was killed.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    # Training is safe to leave at any moment.
    os._exit(1)
