"""What is needed next is fetched while the work goes on: blocks of a file, or many small files."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeVar

BLOCK_BYTES: Final = 8 * 2**20
"""What one request asks for: many times what a round trip to a bucket costs."""

NO_END: Final = 2**63
"""Where the work on a stream stops: at its end, which lies somewhere before."""

_TAIL_BYTES: Final = 2**20

Fetch = Callable[[int, int], bytes]
"""Returns bytes [start, end) of a source, fewer only at its end."""

Key = TypeVar("Key")
Item = TypeVar("Item")


class ReadAhead:
    """Reads forward; at most one block waits, fetched by a thread that ends with the `with`.

    Args:
      fetch: called for one block at a time and in order, so that it may be a stream's.
      stop: where the work on the source will end, but for the tail of a record that begins before;
        nothing behind it is fetched ahead.
    """

    def __init__(self, fetch: Fetch, *, stop: int, block_bytes: int = BLOCK_BYTES) -> None:
        self._fetch = fetch
        self._stop = stop
        self._block_bytes = block_bytes
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._ahead: tuple[int, Future[bytes]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __call__(self, start: int, end: int) -> bytes:
        """Bytes from `start`, to `end` at most; none only at the end of the source.

        Raises:
          Exception: what the fetch of these bytes raised.
        """
        block = self._waiting(start)[: end - start] or self._fetch(
            start, min(end, self._end_of_block(start))
        )
        following = start + len(block)
        if block and following < self._stop:
            stop = self._end_of_block(following)
            self._ahead = following, self._pool.submit(self._fetch, following, stop)
        return block

    def _waiting(self, start: int) -> bytes:
        """What was fetched ahead of the bytes from `start` on."""
        if self._ahead is None:
            return b""
        (at, future), self._ahead = self._ahead, None
        # Waited for in any case: a stream is not to be read from two threads.
        block = future.result()
        return block[start - at :] if start >= at else b""

    def _end_of_block(self, start: int) -> int:
        if start < self._stop:
            return min(start + self._block_bytes, self._stop)
        return start + _TAIL_BYTES


def fetched_ahead(
    fetch: Callable[[Key], Item], keys: Iterable[Key], *, num_ahead: int
) -> Generator[Item, None, None]:
    """Fetches many small things, some at a time, and gives them out in the order of their keys.

    Its threads end with the generator: close it when it is not used up.
    """
    with ThreadPoolExecutor(num_ahead, thread_name_prefix="read-ahead") as pool:
        waiting = deque[Future[Item]]()
        try:
            for key in keys:
                waiting.append(pool.submit(fetch, key))
                if len(waiting) > num_ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
