"""The members of a tar archive, found by reading forward, and the way back to them after damage.

A tar is a row of blocks of 512 bytes: a header with its own checksum before each file, whose bytes
are filled up to a whole block. It does not interpret the files.

The standard library reads each header. The walk from header to header is our own: `tarfile` keeps
every member in memory, reads an extension as long as its header claims, follows a chain of them by
recursion, and ends at a damaged header after an extension.

Source: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from pipelines.convert.formats.byte_stream import Window

BLOCK_BYTES: Final = 512

_MAGIC: Final = b"ustar"
_MAGIC_AT: Final = 257

_PLAIN: Final = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LINKS: Final = (tarfile.LNKTYPE, tarfile.SYMTYPE)
_WITHOUT_BYTES: Final = (
    *_LINKS,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)
_PAX: Final = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
# Global pax headers and GNU's long link names are not needed to read files.
_PASSED_OVER: Final = (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK)

_MAX_EXTENSION_BYTES: Final = 2**20
# The longest path that Linux takes; names are held in memory, and a header may claim gigabytes.
_MAX_NAME_BYTES: Final = 4096
_MAX_SIZE_DIGITS: Final = 20

_SCAN_BYTES: Final = 2**20


class Member(NamedTuple):
    """A member of an archive that is not a folder.

    Attributes:
      name: its path in the archive.
      offset: of its first byte.
      size: bytes that its header promises; the archive may end before.
      special: why its bytes are not those of a plain file; empty for one.
    """

    name: str
    offset: int
    size: int
    special: str = ""


@dataclass
class _Extension:
    """The values that extension headers give for a member; None where they give none."""

    name: str | None = None
    size: int | None = None
    is_sparse: bool = False


def is_tar(head: bytes) -> bool:
    """Return whether the first 512 bytes of a file are those of an archive."""
    return _header(head[:BLOCK_BYTES]) is not None


def members(window: Window) -> Iterator[Member]:
    """Yield the members but folders, in order, from the first byte of the window on.

    Blocks that are not a header where one should be are passed over, and so is the end mark: what
    follows one, as where archives were joined, is read too. Memory stays bounded whatever the
    headers claim.

    Between two members the window may be read up to the end of the one just given.
    """
    offset, extension = 0, _Extension()
    while block := window.bytes_at(offset, offset + BLOCK_BYTES):
        header = _header(block)
        offset += BLOCK_BYTES
        if header is None:
            offset, extension = _next_header(window, offset), _Extension()
            continue
        size = header.size
        if header.type in _PAX or header.type == tarfile.GNUTYPE_LONGNAME:
            end = offset + min(size, _MAX_EXTENSION_BYTES)
            _extend(extension, header.type, window.bytes_at(offset, end))
        elif header.type not in _PASSED_OVER:
            size = header.size if extension.size is None else extension.size
            if header.type in _WITHOUT_BYTES:
                size = 0
            if header.type != tarfile.DIRTYPE:
                yield _member(header, extension, offset=offset, size=size)
            extension = _Extension()
        offset += -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    return header if header.size >= 0 else None


def _next_header(window: Window, offset: int) -> int:
    """Return the first block from `offset` on that may be a header, or the end of the archive.

    Terabytes of data may be in between, so blocks are not parsed one by one.
    """
    while data := window.bytes_at(offset, offset + _SCAN_BYTES):
        at = data.find(_MAGIC, _MAGIC_AT)
        while at >= 0 and (at - _MAGIC_AT) % BLOCK_BYTES:
            at = data.find(_MAGIC, at + 1)
        if at >= 0:
            return offset + at - _MAGIC_AT
        offset += len(data)
    return offset


def _member(header: tarfile.TarInfo, extension: _Extension, *, offset: int, size: int) -> Member:
    name = header.name if extension.name is None else extension.name
    if extension.is_sparse or header.type == tarfile.GNUTYPE_SPARSE:
        special = "a sparse file"
    elif header.type in _LINKS:
        special = "a link"
    elif header.type not in _PLAIN:
        special = f"of the unknown type {header.type!r}"
    else:
        special = "" if len(name) <= _MAX_NAME_BYTES else "a file whose name is too long"
    # The end of a long name says what kind of file it is.
    return Member(name[-_MAX_NAME_BYTES:], offset, size, special)


def _extend(extension: _Extension, kind: bytes, data: bytes) -> None:
    """Add what an extension header says, of GNU's kind or of pax."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        extension.name = data.partition(b"\0")[0].decode(errors="surrogateescape")
        return
    for key, value in _pax_fields(data):
        if key in (b"path", b"GNU.sparse.name"):
            extension.name = value.decode(errors="surrogateescape")
        elif key == b"size" and value.isdigit() and len(value) <= _MAX_SIZE_DIGITS:
            extension.size = int(value)
        extension.is_sparse |= key.startswith(b"GNU.sparse.")


def _pax_fields(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values, up to the first that is not well formed."""
    # Each is "<length of all of it> <key>=<value>\n".
    at = 0
    while (length := data[at : at + 8].partition(b" ")[0]).isdigit() and int(length) > len(length):
        key, _, value = data[at + len(length) + 1 : at + int(length) - 1].partition(b"=")
        yield key, value
        at += int(length)
