"""A window on the bytes of a file that is read forward, wherever they come from."""

from collections import deque
from collections.abc import Callable
from typing import Final

_UNKNOWN_SIZE: Final = 2**63
_MAX_IN_VAIN: Final = 32


class Window:
    """The bytes of one file, read forward in blocks and kept no longer than needed.

    Args:
      read: returns bytes [start, end) of the file.
      size: bytes in the file; None where only its end will tell, at which `read` returns nothing.
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
        """Bytes [start, end), cut at the end of the file.

        Args:
          keep: what lies before it is let go; `start` unless told.
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
        """Whether the file has so many bytes; one of unknown size is read to tell."""
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
