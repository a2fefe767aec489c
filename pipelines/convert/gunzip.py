"""A gzip file read forward as the stream that it holds, in bounded memory.

Where the stream is damaged, all that decodes before the damage is still given out. Nothing behind
it can be decoded: deflate has no place to begin again. Knows nothing of what the stream means.

Source: RFC 1952, https://www.rfc-editor.org/rfc/rfc1952.
"""

import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

MAGIC: Final = b"\x1f\x8b\x08"

GZIP_CORRUPT: Final = "gzip_corrupt"
GZIP_TRUNCATED: Final = "gzip_truncated"
REASONS: Final = (GZIP_CORRUPT, GZIP_TRUNCATED)
"""Why a stream ends before it should."""

_BLOCK_BYTES: Final = 2**20
# What follows a member's end is copied by each call: in larger pieces, a file of empty members
# would take seconds a megabyte.
_PIECE_BYTES: Final = 2**16
_WBITS_GZIP: Final = 31


class Fault(NamedTuple):
    """The end of what decodes.

    Attributes:
      offset: in the stream; all before it was given out.
      reason: one of `REASONS`.
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
        """Bytes [start, end) of the stream, fewer only where it ends.

        After a fault the rest of the file follows as it is, so that no byte of it goes uncounted.

        Raises:
          ValueError: `start` lies before what was read already.
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
        """The next bytes, at least one unless the stream ends here."""
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
        """The next bytes that decode, none at the end of the stream and where it breaks off."""
        while self.fault is None:
            self._fill()
            if self._decoder.eof and not self._next_member():
                break
            before = self._decoder.copy()
            try:
                # Steps that do not depend on what is asked for: with others the decoder would find
                # damage some bytes sooner or later.
                block = self._decoder.decompress(self._input, _BLOCK_BYTES)
            except zlib.error:
                block, used = _salvage(before, self._input)
                self._input = self._input[used:]
                self.fault = Fault(self._position + len(block), GZIP_CORRUPT)
                return block
            ended = not self._input and not block
            self._input = self._decoder.unused_data or self._decoder.unconsumed_tail
            if block:
                return block
            if ended and not self._decoder.eof:
                self.fault = Fault(self._position, GZIP_TRUNCATED)
        return b""

    def _next_member(self) -> bool:
        """Goes on to the member behind the one that ended; False at the end of the file."""
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
    """What decodes of `data` before the byte that does not, and how many bytes that took."""
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
