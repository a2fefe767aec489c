"""Read objects and list folders. Each function may be repeated and changes nothing.

A listing is not a snapshot of one moment. A link of this machine counts as what it points to. A
link to nothing is neither a file nor ignored: a list of files that contains one is refused, and as
a folder it is listed, so that opening it raises the sentence that says so.
"""

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from pipelines.errors import ConfigError
from pipelines.storage.failures import (
    is_missing_bucket,
    is_out_of_range,
    no_store,
    user_errors,
    with_retries,
)
from pipelines.storage.filesystem import cat, is_guarded, resolve
from pipelines.storage.location import absolute, broken_link, is_s3, join, local_path, name

_BROKEN: Final = "broken link"

# Fetched beyond the requested bytes of an open file; libraries would fetch a whole shard.
_AHEAD_BYTES: Final = 2**18


def sizes(uri: str) -> dict[str, int]:
    """Return name and size in bytes of the objects directly under a location; may be empty.

    Raises:
      ConfigError: one of them is a link to nothing.
    """
    return {name(e["name"]): int(e["size"]) for e in _files(uri)}


def modified(uri: str) -> dict[str, float]:
    """Return name and time of the last change of the objects directly under a location.

    Returns:
      Seconds since 1970, by the store's clock; may be empty.

    Raises:
      ConfigError: one of them is a link to nothing.
    """
    return {name(e["name"]): modified_sec(e) for e in _files(uri)}


def identities(uri: str) -> dict[str, tuple[int, str]]:
    """Return name and identity of the objects directly under a location; may be empty.

    Raises:
      ConfigError: one of them is a link to nothing.
    """
    return {name(e["name"]): identity_of(e) for e in _files(uri)}


def list_folders(uri: str) -> list[str]:
    """Return the names of the folders directly under a location, sorted; may be empty."""
    return sorted(name(e["name"]) for e in _entries(uri) if e["type"] in ("directory", _BROKEN))


def list_names(uri: str) -> set[str]:
    """Return the names of everything directly under a location; may be empty."""
    return {name(e["name"]) for e in _entries(uri)}


def glob(pattern: str) -> list[str]:
    """Return the locations of the files and folders that match a pattern, sorted.

    `*` matches any part of one name, except for a dot at its beginning. Everything else matches
    itself, brackets and question marks too; a part of the pattern that is the name of an entry
    matches that entry only.

    Raises:
      ConfigError: the pattern leaves the bucket or the host open.
    """
    pattern = absolute(pattern)
    cut = pattern.rfind("/", 0, pattern.find("*") if "*" in pattern else None)
    if pattern[:cut].endswith(":/"):
        raise ConfigError(f"a `*` cannot stand for a bucket or a host, got {pattern}; name it")
    *folders, last = pattern[cut + 1 :].split("/")
    places = [pattern[:cut] or "/"]
    for part in folders:
        places = [join(place, found) for place in places for found in _matching(place, part, True)]
    return sorted(join(place, found) for place in places for found in _matching(place, last, False))


def _matching(folder: str, part: str, is_folder: bool) -> list[str]:
    """Return the names in a folder that match one part of a pattern."""
    names = list_folders(folder) if is_folder else sorted(list_names(folder))
    if part in names:
        return [part]
    expression = re.compile(".*".join(map(re.escape, part.split("*"))), re.DOTALL)
    hidden = part.startswith(".")
    return [
        found
        for found in names
        if expression.fullmatch(found) and (hidden or not found.startswith("."))
    ]


def identity_of(entry: Mapping[str, Any]) -> tuple[int, str]:
    """Return size and tag of an entry of a filesystem's listing."""
    tags = ("ETag", "etag", "mtime", "LastModified", "Last-Modified", "created")
    tag = next((entry[key] for key in tags if entry.get(key)), None)
    return int(entry["size"]), str(tag).strip('"')


def modified_sec(entry: Mapping[str, Any]) -> float:
    """Return when an entry of a filesystem's listing last changed, in seconds since 1970."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = entry.get(key)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if value is not None:
            return float(value)
    raise OSError(f"{entry['name']}: its store does not say when it was changed")


def _files(uri: str) -> list[dict[str, Any]]:
    """Return the entries of the objects directly under a location."""
    entries = _entries(uri)
    broken = [entry for entry in entries if entry["type"] == _BROKEN]
    if broken:
        others = f" (and {len(broken) - 1} more in {uri})" if len(broken) > 1 else ""
        raise ConfigError(
            f"{broken[0]['problem']}{others}; put back what it points to or remove it"
        )
    return [entry for entry in entries if entry["type"] == "file"]


def _entries(uri: str) -> list[dict[str, Any]]:
    """Return the entries directly under a location; none if it is absent."""
    fs, path = resolve(uri)
    local = local_path(uri)
    with user_errors(uri):
        try:
            if local is not None:
                return _local_entries(local)
            entries = with_retries(uri, lambda: fs.ls(path, detail=True))
            # Some clients store an empty object for the folder itself.
            return [e for e in entries if e["type"] != "file" or not e["name"].endswith("/")]
        except FileNotFoundError as err:
            if is_missing_bucket(err) or (local is not None and broken_link(local)):
                raise
            return []


def _local_entries(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of a local folder; fsspec's own listing does not follow links."""
    entries = list[dict[str, Any]]()
    with os.scandir(folder) as found:
        for entry in found:
            try:
                stat = entry.stat()
                kind = "file" if entry.is_file() else "directory" if entry.is_dir() else "other"
            except OSError as err:
                if not (problem := broken_link(Path(entry.path))):
                    if isinstance(err, FileNotFoundError):
                        # It was removed in the meantime.
                        continue
                    raise
                # Editors lock a file by a hidden link that points to nothing.
                if not entry.name.startswith("."):
                    entries.append({"name": entry.path, "type": _BROKEN, "problem": problem})
                continue
            entries.append(
                {"name": entry.path, "type": kind, "size": stat.st_size, "mtime": stat.st_mtime}
            )
    return entries


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
