"""What is made is written while the work goes on: one shard on its way, the next in the making."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

Write = Callable[[], None]
"""Writes what belongs together, in its order."""

Store = Callable[[Write], None]
"""Takes care that a write is done: at once, or behind the work."""


def at_once(write: Write) -> None:
    """A `Store` that writes before it returns."""
    write()


class WriteBehind:
    """A `Store` that writes in a thread of its own, one write at a time and in order.

    A write that failed fails the call after it, or the end of the `with`: nothing is taken for
    stored before that.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="write-behind")
        self._waiting: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self, write: Write) -> None:
        """Writes behind the caller's back, once the write before it is done.

        Raises:
          Exception: what the write before it raised.
        """
        self._wait()
        self._waiting = self._pool.submit(write)

    def close(self) -> None:
        """Waits for what is on its way, and ends the thread.

        Raises:
          Exception: what the last write raised.
        """
        try:
            self._wait()
        finally:
            self._pool.shutdown()

    def _wait(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.result()
