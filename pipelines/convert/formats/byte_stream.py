"""Bytes that are read forward: a window on a file, the stream in a gzip file, and read-ahead.

It does not interpret the bytes. Source: RFC 1952, https://www.rfc-editor.org/rfc/rfc1952.
"""

import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar

from pipelines.convert.formats.reasons import Reason

_UNKNOWN_SIZE: Final = 2**63
_MAX_IN_VAIN: Final = 32


class Window:
    """The bytes of one file, read forward in blocks and kept no longer than needed.

    Args:
      read: returns bytes [start, end) of the file.
      size: bytes in the file; None if unknown before its end, at which `read` returns nothing.
      block_bytes: how much one call of `read` asks for.
      reread: returns bytes [start, end) too, read from the store again; None where that makes no
        difference.

    Attributes:
      size: bytes in the file; until the end of one of unknown size is met, more than it can have.
    """

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        *,
        size: int | None,
        block_bytes: int = 8 * 2**20,
        reread: Callable[[int, int], bytes] | None = None,
    ) -> None:
        self.size = _UNKNOWN_SIZE if size is None else size
        self._read = read
        self._block_bytes = block_bytes
        self._reread = reread
        self._num_in_vain = 0
        self._blocks: deque[tuple[int, bytes]] = deque()

    def bytes_at(self, start: int, end: int, *, keep: int | None = None) -> bytes:
        """Return bytes [start, end), cut at the end of the file.

        Args:
          keep: bytes before this offset are released; `start` by default.
        """
        self._hold(start if keep is None else keep, min(end, self.size))
        end = min(end, self.size)
        parts = []
        for offset, block in self._blocks:
            if offset >= end:
                break
            parts.append(block[max(start - offset, 0) : end - offset])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def reaches(self, end: int, *, keep: int) -> bool:
        """Return whether the file has `end` bytes; one of unknown size is read as far."""
        if self.size == _UNKNOWN_SIZE:
            self._hold(keep, end)
        return end <= self.size

    def mended(self, start: int, end: int) -> bool:
        """Read damaged bytes again; return whether others came, which take their place.

        Once that was in vain some times, the damage is taken for that of the store.
        """
        end = min(end, self.size)
        if self._reread is None or self._num_in_vain >= _MAX_IN_VAIN:
            return False
        held, fresh = self.bytes_at(start, end), self._reread(start, end)
        if fresh == held or len(fresh) != len(held):
            self._num_in_vain += 1
            return False
        self._blocks = deque(
            (at, _replaced(block, fresh, start - at)) for at, block in self._blocks
        )
        return True

    def _hold(self, start: int, end: int) -> None:
        if not self._blocks or start < self._blocks[0][0] or start > self._held_end():
            self._blocks.clear()
        while len(self._blocks) > 1 and self._blocks[1][0] <= start:
            self._blocks.popleft()
        while (at := self._held_end() if self._blocks else start) < end:
            block = self._read(at, min(at + self._block_bytes, self.size))
            if not block and self.size == _UNKNOWN_SIZE:
                self.size = at
                return
            if not block:
                raise OSError(
                    f"the source ends at byte {at} but had {self.size} when it was planned"
                )
            self._blocks.append((at, block))

    def _held_end(self) -> int:
        offset, block = self._blocks[-1]
        return offset + len(block)


def _replaced(block: bytes, fresh: bytes, place: int) -> bytes:
    """Return a block with other bytes at a place in it, which may begin before or end after it."""
    first, stop = max(place, 0), min(place + len(fresh), len(block))
    if first >= stop:
        return block
    return block[:first] + fresh[first - place : stop - place] + block[stop:]


MAGIC: Final = b"\x1f\x8b\x08"


_BLOCK_BYTES: Final = 2**20
# Each call copies the bytes after a member's end: in larger pieces, a file of empty members
# would take seconds a megabyte.
_PIECE_BYTES: Final = 2**16
_WBITS_GZIP: Final = 31


class Fault(NamedTuple):
    """The end of the bytes that decode.

    Attributes:
      offset: in the stream; all before it was given out.
      reason: a `Reason`.
    """

    offset: int
    reason: str


class GzipStream:
    """The decompressed bytes of one or several gzip members, read once from front to back.

    Args:
      fetch: returns bytes [start, end) of the file.
      size: bytes in the file.

    Attributes:
      fault: where and why the stream broke off; None while it has not.
      num_fetched: bytes of the file that were asked for.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], *, size: int) -> None:
        self.fault: Fault | None = None
        self._fetch = fetch
        self._size = size
        self.num_fetched = 0
        self._fetched = memoryview(b"")
        self._input = b""
        self._block = b""
        self._taken = 0
        self._position = 0
        self._decoder = zlib.decompressobj(_WBITS_GZIP)

    def read(self, start: int, end: int) -> bytes:
        """Return bytes [start, end) of the stream, fewer only where it ends.

        After a fault the rest of the file follows as it is, so that no byte of it goes uncounted.

        Raises:
          ValueError: `start` is before bytes that were read already.
        """
        if start < self._position:
            raise ValueError(f"a stream at byte {self._position} cannot go back to {start}")
        while self._position < start and self._take(start - self._position):
            pass
        parts, wanted = list[bytes](), end - start
        while wanted and (part := self._take(wanted)):
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def _take(self, max_bytes: int) -> bytes:
        """Return the next bytes, at least one unless the stream ends here."""
        if self._taken == len(self._block):
            self._block, self._taken = self._next_block(), 0
        part = self._block[self._taken : self._taken + max_bytes]
        self._taken += len(part)
        self._position += len(part)
        return part

    def _next_block(self) -> bytes:
        block = b"" if self.fault else self._decoded()
        if not block and self.fault:
            self._fill()
            block, self._input = self._input, b""
        return block

    def _decoded(self) -> bytes:
        """Return the next decoded bytes, none at the end of the stream and where it breaks off."""
        while self.fault is None:
            self._fill()
            if self._decoder.eof and not self._next_member():
                break
            before = self._decoder.copy()
            try:
                # Steps that do not depend on the request: with others the decoder would find
                # damage some bytes sooner or later.
                block = self._decoder.decompress(self._input, _BLOCK_BYTES)
            except zlib.error:
                block, used = _salvage(before, self._input)
                self._input = self._input[used:]
                self.fault = Fault(self._position + len(block), Reason.GZIP_CORRUPT)
                return block
            ended = not self._input and not block
            self._input = self._decoder.unused_data or self._decoder.unconsumed_tail
            if block:
                return block
            if ended and not self._decoder.eof:
                self.fault = Fault(self._position, Reason.GZIP_TRUNCATED)
        return b""

    def _next_member(self) -> bool:
        """Start the next gzip member; return False at the end of the file."""
        # Archives on tapes are filled up with zeros, which gzip itself passes over.
        while (padding := len(self._input) - len(self._input.lstrip(b"\0"))) or not self._input:
            self._input = self._input[padding:]
            if not self._input and not self._fill():
                return False
        self._decoder = zlib.decompressobj(_WBITS_GZIP)
        return True

    def _fill(self) -> bool:
        """Fetch input where there is none; return whether there is some then."""
        if not self._input:
            if not self._fetched and self.num_fetched < self._size:
                self._fetched = self._fetch_block()
            self._input = bytes(self._fetched[:_PIECE_BYTES])
            self._fetched = self._fetched[_PIECE_BYTES:]
        return bool(self._input)

    def _fetch_block(self) -> memoryview:
        end = min(self.num_fetched + _BLOCK_BYTES, self._size)
        block = self._fetch(self.num_fetched, end)
        if not block:
            raise OSError(
                f"the source ends at byte {self.num_fetched} but had {self._size} "
                "when it was planned"
            )
        self.num_fetched += len(block)
        return memoryview(block)


def _salvage(decoder: "zlib._Decompress", data: bytes) -> tuple[bytes, int]:
    """Return the decoded bytes before the first bad byte of `data`, and the number used."""
    # A call that fails gives nothing out, so that the calls close in on the place.
    parts, at = list[bytes](), 0
    for step in (2**14, 2**7, 1):
        while at < len(data):
            attempt = decoder.copy()
            try:
                part = attempt.decompress(data[at : at + step])
            except zlib.error:
                break
            decoder = attempt
            parts.append(part)
            at += step
    return b"".join(parts), min(at, len(data))


# Bytes per request, whose transfer takes many times a round trip to a bucket.
BLOCK_BYTES: Final = 8 * 2**20

# Offset at which work on a stream stops; its end is somewhere before.
NO_END: Final = 2**63

_TAIL_BYTES: Final = 2**20

# Returns bytes [start, end) of a source, fewer only at its end.
Fetch = Callable[[int, int], bytes]

Key = TypeVar("Key")
Item = TypeVar("Item")


class ReadAhead:
    """Reads forward; at most one block waits, fetched by a thread that ends with the `with`.

    Args:
      fetch: called for one block at a time and in order, so that it may be a stream's.
      stop: where the work on the source will end, but for the tail of a record that begins before;
        nothing after it is fetched ahead.
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
        """Return bytes from `start`, to `end` at most; none only at the end of the source.

        Raises:
          Exception: the error of the fetch of these bytes.
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
        """Return the prefetched bytes from `start` on."""
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


def fetch_ahead(
    fetch: Callable[[Key], Item], keys: Iterable[Key], *, num_ahead: int
) -> Generator[Item, None, None]:
    """Fetch many small objects, some at a time, and yield them in the order of their keys.

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
