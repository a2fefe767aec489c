"""Read objects whole, by ranges, or as a file. Each function may be repeated."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, cast

from pipelines.errors import ConfigError
from pipelines.storage.failures import is_out_of_range, no_store, user_errors, with_retries
from pipelines.storage.filesystem import cat, is_guarded, is_s3, resolve
from pipelines.storage.listing import identity_of
from pipelines.storage.location import local_path

_AHEAD_BYTES: Final = 2**18


def read(uri: str, *, checksum: bool = True) -> bytes:
    """Return the whole object, as one writer wrote it.

    Args:
      checksum: whether to detect a byte that changed in transit: by TLS, by the checksum of the
        store, which adds a third to the time, or else by reading twice; not needed by a caller
        that knows a digest of the object.
    """
    fs, path = resolve(uri, checksum=checksum)
    with user_errors(uri):
        if local_path(uri) is not None:
            return cast(bytes, fs.cat_file(path))
        if not checksum:
            return with_retries(uri, lambda: cat(fs, path, uri)[0])
        return with_retries(uri, lambda: _sure(lambda: cat(fs, path, uri)))


def read_range(uri: str, start: int, end: int, *, checksum: bool = False) -> bytes:
    """Return bytes [start, end) of the object; fewer only if it ends before.

    Two ranges may come from before and after another writer's put: compare `identity`.

    Args:
      checksum: whether to detect a byte that changed in transit: by TLS or by reading twice, since
        no store has a checksum of a part; for a caller without a checksum of its own.

    Raises:
      ConfigError: there is no such object, or its server gives out whole ones only.
    """
    if start >= end:
        return b""
    fs, path = resolve(uri)
    with user_errors(uri):
        if local_path(uri) is not None:
            return cast(bytes, fs.cat_file(path, start=start, end=end))

        def attempt() -> tuple[bytes, bool]:
            return _range(fs, path, start, end), not checksum or is_guarded(fs, uri)

        data = with_retries(uri, lambda: _sure(attempt))
    if len(data) > end - start:
        raise ConfigError(f"the server of {uri} does not serve parts of files; download it first")
    return data


@contextmanager
def open_seekable(uri: str) -> Iterator[BinaryIO]:
    """Open a file to read from any position; remote ones are read in blocks as needed.

    On S3 reading fails if another object has replaced the opened one.
    """
    fs, path = resolve(uri)
    with user_errors(uri):
        if local_path(uri) is not None:
            with fs.open(path, "rb") as file:
                yield file
            return
        remote = _Remote(
            uri, with_retries(uri, lambda: fs.open(path, "rb", block_size=_AHEAD_BYTES))
        )
        with io.BufferedReader(remote) as buffered:
            yield buffered


def identity(uri: str) -> tuple[int, str]:
    """Return size in bytes and a tag that changes with the content: etag or modification time."""
    fs, path = resolve(uri)
    with user_errors(uri):
        info = with_retries(uri, lambda: fs.info(path))
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
    """Return whether a location holds objects and is not an object itself.

    Raises:
      ConfigError: there is nothing.
    """
    fs, path = resolve(uri)
    with user_errors(uri):
        return bool(with_retries(uri, lambda: fs.info(path))["type"] == "directory")


def exists(uri: str) -> bool:
    """Return whether an object exists; a broken link does not.

    Raises:
      ConfigError: this cannot be known, as in a folder that this user may not open.
    """
    fs, path = resolve(uri)
    local = local_path(uri)
    with user_errors(uri):
        if local is not None:
            try:
                local.stat()
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True
        return bool(with_retries(uri, lambda: fs.exists(path)))


def _sure(attempt: Callable[[], tuple[bytes, bool]]) -> bytes:
    """Return what an attempt reads; if nothing else detects a change, two must agree.

    Raises:
      ConnectionError: they do not.
    """
    data, is_sure = attempt()
    if not is_sure and attempt()[0] != data:
        raise ConnectionError("two readings of the same bytes differ")
    return data


def _range(fs: Any, path: str, start: int, end: int) -> bytes:
    """Make one attempt to read a range of a remote object.

    Raises:
      ConnectionError: fewer bytes came than the object holds there.
    """
    try:
        data = cast(bytes, fs.cat_file(path, start=start, end=end))
    except Exception as err:
        # s3fs raises an OSError, gcsfs does not.
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
    """A remote file whose reads are retried like any other call."""

    def __init__(self, uri: str, file: Any) -> None:
        self._uri = uri
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        """Read from the present position into a buffer; return 0 only at the end."""
        start = self._file.tell()

        def attempt() -> bytes:
            self._file.seek(start)
            try:
                data = cast(bytes, self._file.read(len(buffer)))
            except IndexError as err:
                # s3fs expects a number in a timeout, and there is none.
                raise TimeoutError("the server stopped answering") from err
            if not data and start < (self._file.size or 0):
                raise ConnectionError(f"no byte came from {start}")
            return data

        data = with_retries(self._uri, attempt)
        buffer[: len(data)] = data
        return len(data)
