"""The files in a tar archive, found by reading forward, and the way back to them after damage.

A tar is a row of blocks of 512 bytes: a header with its own checksum before each file, whose bytes
are filled up to a whole block. Knows nothing of what the files mean.

Source: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html.
"""

import tarfile
from collections.abc import Iterator
from typing import Final, NamedTuple

from pipelines.convert.window import Window

BLOCK_BYTES: Final = 512

_MAGIC: Final = b"ustar"
_MAGIC_AT: Final = 257

_WITHOUT_BYTES: Final = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)
_MAX_EXTENSION_BYTES: Final = 2**20


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
      name: its path in the archive.
      offset: of its first byte.
      size: bytes that its header promises; the archive may end before.
    """

    name: str
    offset: int
    size: int


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes of a file are those of an archive."""
    return head[_MAGIC_AT:].startswith(_MAGIC) and _header(head[:BLOCK_BYTES]) is not None


def members(window: Window) -> Iterator[Member]:
    """The regular files, in order; blocks that are no header where one should be are passed over.

    Between two of them the window may be read up to the end of the file just found.
    """
    offset, long_name = 0, ""
    while block := window.bytes_at(offset, offset + BLOCK_BYTES):
        header = _header(block)
        offset += BLOCK_BYTES
        if header is None:
            long_name = ""
            continue
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
            end = offset + min(header.size, _MAX_EXTENSION_BYTES)
            long_name = _extended(header.type, window.bytes_at(offset, end)) or long_name
        elif header.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
            yield Member(long_name or header.name, offset, header.size)
            long_name = ""
        if header.type not in _WITHOUT_BYTES:
            offset += -(-header.size // BLOCK_BYTES) * BLOCK_BYTES


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    return header if header.size >= 0 else None


def _extended(kind: bytes, data: bytes) -> str:
    """The name in an extension header, of GNU's kind or of pax; empty where it names nothing."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return data.rstrip(b"\0").decode(errors="surrogateescape")
    # Each entry is "<length of the entry> <key>=<value>\n".
    while (length := data[:8].partition(b" ")[0]).isdigit() and int(length) > len(length):
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        if key == b"path":
            return value.decode(errors="surrogateescape")
        data = data[int(length) :]
    return ""
