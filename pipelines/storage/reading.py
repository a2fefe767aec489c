"""Objects read: whole, by ranges, or as a file. Each verb may be repeated and changes nothing."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, cast

from pipelines.errors import ConfigError
from pipelines.storage.failures import explained, is_out_of_range, no_store
from pipelines.storage.filesystem import cat, is_guarded, is_s3, resolve
from pipelines.storage.listing import identity_of
from pipelines.storage.location import local_path
from pipelines.storage.retry import retried

_AHEAD_BYTES: Final = 2**18
"""What is fetched behind what an open file is asked for; libraries would take all of a shard."""


def read(uri: str, *, checksum: bool = True) -> bytes:
    """The whole object, as one writer wrote it.

    Args:
      checksum: whether a byte that is changed on the way is noticed: by TLS, by the checksum of
        the store, which takes as long as a third of the rest, or else by a second reading; needless
        for a caller that knows a digest of the object.
    """
    fs, path = resolve(uri, checksum=checksum)
    with explained(uri):
        if local_path(uri) is not None:
            return cast(bytes, fs.cat_file(path))
        if not checksum:
            return retried(uri, lambda: cat(fs, path, uri)[0])
        return retried(uri, lambda: _sure(lambda: cat(fs, path, uri)))


def read_range(uri: str, start: int, end: int, *, checksum: bool = False) -> bytes:
    """Bytes [start, end) of the object; fewer where it ends before, and never for another reason.

    Two ranges may come from before and behind another writer's put: compare `identity`.

    Args:
      checksum: whether a byte that is changed on the way is noticed: by TLS or by a second reading,
        since no store has a checksum of a part; for a caller that has none of its own either.

    Raises:
      ConfigError: there is no such object, or its server gives out whole ones only.
    """
    if start >= end:
        return b""
    fs, path = resolve(uri)
    with explained(uri):
        if local_path(uri) is not None:
            return cast(bytes, fs.cat_file(path, start=start, end=end))

        def attempt() -> tuple[bytes, bool]:
            return _range(fs, path, start, end), not checksum or is_guarded(fs, uri)

        data = retried(uri, lambda: _sure(attempt))
    if len(data) > end - start:
        raise ConfigError(f"the server of {uri} does not serve parts of files; download it first")
    return data


@contextmanager
def open_seekable(uri: str) -> Iterator[BinaryIO]:
    """A file to read from any position; remote ones are read in blocks as needed.

    On S3 it is the same object to the end: reading fails where another has taken its place.
    """
    fs, path = resolve(uri)
    with explained(uri):
        if local_path(uri) is not None:
            with fs.open(path, "rb") as file:
                yield file
            return
        remote = _Remote(uri, retried(uri, lambda: fs.open(path, "rb", block_size=_AHEAD_BYTES)))
        with io.BufferedReader(remote) as buffered:
            yield buffered


def identity(uri: str) -> tuple[int, str]:
    """Size in bytes and what changes with the content: the etag, or the time of the last change."""
    fs, path = resolve(uri)
    with explained(uri):
        info = retried(uri, lambda: fs.info(path))
    if info["type"] == "directory":
        raise ConfigError(f"expected a file but {uri} is a folder; name the file in it")
    if is_s3(uri) and not info.get("ETag"):
        raise no_store(uri)
    if uri.startswith("http") and info.get("mimetype") == "text/html":
        raise ConfigError(
            f"the server of {uri} answers with a web page and not with a file: the address may be "
            "that of a page about it, or ask for a password; download the file first"
        )
    if info["size"] is None:
        raise ConfigError(f"the server of {uri} does not say how large it is; download it first")
    return identity_of(info)


def is_folder(uri: str) -> bool:
    """Whether a location holds objects and is none itself.

    Raises:
      ConfigError: there is nothing.
    """
    fs, path = resolve(uri)
    with explained(uri):
        return bool(retried(uri, lambda: fs.info(path))["type"] == "directory")


def exists(uri: str) -> bool:
    """Return whether an object is there; a link to nothing is none.

    Raises:
      ConfigError: nobody can tell, such as in a folder that this user may not open.
    """
    fs, path = resolve(uri)
    local = local_path(uri)
    with explained(uri):
        if local is not None:
            try:
                local.stat()
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True
        return bool(retried(uri, lambda: fs.exists(path)))


def _sure(attempt: Callable[[], tuple[bytes, bool]]) -> bytes:
    """Return what an attempt reads; where nothing else would notice a change, two have to agree.

    Raises:
      ConnectionError: they do not.
    """
    data, is_sure = attempt()
    if not is_sure and attempt()[0] != data:
        raise ConnectionError("two readings of the same bytes differ")
    return data


def _range(fs: Any, path: str, start: int, end: int) -> bytes:
    """One attempt at a range of a remote object.

    Raises:
      ConnectionError: fewer bytes came than the object holds there.
    """
    try:
        data = cast(bytes, fs.cat_file(path, start=start, end=end))
    except Exception as err:
        # s3fs's is an OSError, gcsfs's is not.
        if not is_out_of_range(err):
            raise
        data = b""
    if len(data) < end - start:
        size = fs.info(path)["size"]
        expected = len(data) if size is None else max(0, min(end, size) - start)
        if len(data) != expected:
            raise ConnectionError(f"expected {expected} bytes from {start}, {len(data)} came")
    return data


class _Remote(io.RawIOBase):
    """A remote file, each read of which is tried again like any other call."""

    def __init__(self, uri: str, file: Any) -> None:
        self._uri = uri
        self._file = file

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As a file's."""
        return int(self._file.seek(offset, whence))

    def close(self) -> None:
        """Closes the file below."""
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        """Reads from where the file stands; 0 only at its end."""
        start = self._file.tell()

        def attempt() -> bytes:
            self._file.seek(start)
            try:
                data = cast(bytes, self._file.read(len(buffer)))
            except IndexError as err:
                # s3fs looks into a timeout for a number, and there is none.
                raise TimeoutError("the server stopped answering") from err
            if not data and start < (self._file.size or 0):
                raise ConnectionError(f"no byte came from {start}")
            return data

        data = retried(self._uri, attempt)
        buffer[: len(data)] = data
        return len(data)
