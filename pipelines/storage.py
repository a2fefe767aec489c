"""Object storage and folders by one door: the only module that knows fsspec.

A location is a URI: `s3://bucket/key`, any other fsspec URI, or a path of this machine. Objects are
written whole: locally by a temporary file and a rename, remotely by one put, so that a reader never
sees half of one. What the user can mend (no such file, no permission, no such bucket) is a
ConfigError; every other failure of input or output stays what it is, for a retry to catch.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import fsspec
import platformdirs

from pipelines.errors import ConfigError

_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    # A cached listing hides the shards that other processes write.
    "s3": {"use_listings_cache": False},
    "gs": {"use_listings_cache": False},
}

# botocore's and aiohttp's own; by name, since other protocols do without those libraries.
_NO_CREDENTIALS: Final = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound")
_NO_ANSWER: Final = ("EndpointConnectionError", "ClientConnectorError")


def join(uri: str, *parts: str) -> str:
    """The location of `parts` under `uri`."""
    folder = uri if uri.endswith("/") else f"{uri}/"
    return folder + "/".join(part.strip("/") for part in parts)


def name(uri: str) -> str:
    """The last part of a location."""
    return uri.rstrip("/").rpartition("/")[2]


def parent(uri: str) -> str:
    """The location that holds `uri`."""
    return uri.rstrip("/").rpartition("/")[0]


def absolute(uri: str) -> str:
    """`uri` made independent of the working folder; remote ones are so already."""
    path = local_path(uri)
    if path is not None:
        return str(path)
    return uri if uri.endswith("://") else uri.rstrip("/")


def local_path(uri: str) -> Path | None:
    """The absolute path of a location on this machine, None for a remote one."""
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    elif "://" in uri:
        return None
    # A link keeps its own name, by which the user knows the file.
    return Path(os.path.abspath(Path(uri).expanduser()))  # noqa: PTH100 - `resolve` follows links


def cache_dir(root: str) -> Path:
    """The folder of this machine for what can be made again from `root`.

    NSYNTH_CACHE names it; otherwise it lies in a local root, or in the user's cache folder.
    """
    if named := os.environ.get("NSYNTH_CACHE"):
        return Path(named).expanduser().resolve()
    local = local_path(root)
    return local / "cache" if local else platformdirs.user_cache_path("nsynth-flows")


def read(uri: str) -> bytes:
    """The whole object."""
    fs, path = _resolve(uri)
    with _explained(uri):
        return cast(bytes, fs.cat_file(path))


def read_range(uri: str, start: int, end: int) -> bytes:
    """Bytes [start, end) of the object; fewer where it ends before."""
    if start >= end:
        return b""
    fs, path = _resolve(uri)
    with _explained(uri):
        return cast(bytes, fs.cat_file(path, start=start, end=end))


@contextmanager
def open_seekable(uri: str) -> Iterator[BinaryIO]:
    """A file to read from any position; remote ones are read in blocks as needed."""
    fs, path = _resolve(uri)
    with _explained(uri), fs.open(path, "rb") as file:
        yield file


def identity(uri: str) -> tuple[int, str]:
    """Size in bytes and what changes with the content: the etag, or the time of the last change."""
    fs, path = _resolve(uri)
    with _explained(uri):
        info = fs.info(path)
    if info["type"] == "directory":
        raise ConfigError(f"expected a file but {uri} is a folder; name the file in it")
    tag = info.get("ETag") or info.get("etag") or info.get("mtime") or info.get("LastModified")
    return int(info["size"]), str(tag).strip('"')


def exists(uri: str) -> bool:
    """Whether an object is there."""
    fs, path = _resolve(uri)
    with _explained(uri):
        return bool(fs.exists(path))


def sizes(uri: str) -> dict[str, int]:
    """Name and size in bytes of the objects directly under a location; may be empty."""
    return {name(e["name"]): int(e["size"]) for e in _entries(uri) if e["type"] == "file"}


def modified(uri: str) -> dict[str, float]:
    """Name and time of the last change of the objects directly under a location; may be empty.

    Returns:
      Seconds since 1970, by the store's clock.
    """
    return {name(e["name"]): _modified_sec(e) for e in _entries(uri) if e["type"] == "file"}


def list_folders(uri: str) -> list[str]:
    """Names of the folders directly under a location, sorted; may be empty."""
    return sorted(name(e["name"]) for e in _entries(uri) if e["type"] == "directory")


def glob(pattern: str) -> list[str]:
    """The objects that match a pattern with `*`, sorted by name."""
    fs, path = _resolve(pattern)
    with _explained(pattern):
        return sorted(str(fs.unstrip_protocol(found)) for found in fs.glob(path))


def put(uri: str, data: bytes) -> None:
    """Writes an object whole, in the place of any that was there."""
    fs, path = _resolve(uri)
    local = local_path(uri)
    with _explained(uri):
        if local is None:
            fs.pipe_file(path, data)
        else:
            with _temporary_beside(local, data) as temporary:
                temporary.replace(local)


def create(uri: str, data: bytes) -> bool:
    """Writes an object unless there is one; says whether it did."""
    fs, path = _resolve(uri)
    local = local_path(uri)
    with _explained(uri):
        try:
            if local is None:
                fs.pipe_file(path, data, mode="create")
            else:
                with _temporary_beside(local, data) as temporary:
                    os.link(temporary, local)
        except FileExistsError:
            return False
        except OSError as err:
            # s3fs reports the server's refusal of If-None-Match by this number.
            if err.errno == errno.EINVAL and "pre-condition" in str(err).lower():
                return False
            raise
    return True


def remove(uri: str) -> None:
    """Removes an object; where it is gone already, or is an empty folder, it is gone as well."""
    fs, path = _resolve(uri)
    local = local_path(uri)
    with _explained(uri):
        if local is None:
            with suppress(FileNotFoundError):
                fs.rm_file(path)
        elif local.is_dir():
            local.rmdir()
        else:
            local.unlink(missing_ok=True)


def free_bytes(root: str) -> int | None:
    """Bytes that may still be written under a root, which need not exist; None for a remote one."""
    path = local_path(root)
    if path is None:
        return None
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def put_file(path: Path, uri: str) -> None:
    """Writes a local file's content as an object."""
    put(uri, path.read_bytes())


def check_writable(root: str) -> None:
    """Refuses a root that nothing can be written to, before any work is done for it.

    Raises:
      ConfigError: the folder or the bucket is missing, or writing to it is not allowed.
    """
    fs, path = _resolve(root)
    local = local_path(root)
    with _explained(root):
        if local is not None:
            try:
                local.mkdir(parents=True, exist_ok=True)
            except (FileNotFoundError, FileExistsError) as err:
                raise ConfigError(f"cannot make the folder {root}: {err.strerror}") from err
            with tempfile.TemporaryFile(dir=local):
                return
        probe = join(path, ".nsynth-write-probe")
        fs.pipe_file(probe, b"")
        fs.rm_file(probe)


@contextmanager
def _temporary_beside(path: Path, data: bytes) -> Iterator[Path]:
    """A synced temporary file with `data` in the folder of `path`; removed in the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; readers are other users too.
        Path(temporary).chmod(0o644)
        yield Path(temporary)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _resolve(uri: str) -> tuple[Any, str]:
    """The filesystem of a location, and its path there."""
    local = local_path(uri)
    if local is not None:
        return fsspec.filesystem("file"), str(local)
    protocol = uri.partition("://")[0]
    try:
        fs, path = fsspec.core.url_to_fs(uri, **_OPTIONS.get(protocol, {}))
    except (ValueError, ImportError) as err:
        raise ConfigError(f"cannot open {uri}: {err}") from err
    return fs, str(path)


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turns the failures that the user can mend into one sentence."""
    try:
        yield
    except FileNotFoundError as err:
        raise ConfigError(_missing(uri)) from err
    except (PermissionError, NotADirectoryError, IsADirectoryError) as err:
        reason = err.strerror or str(err)
        raise ConfigError(
            f"cannot use {uri}: {reason}; check the path and its permissions"
        ) from err
    except OSError as err:
        if err.errno == errno.EROFS:
            raise ConfigError(f"cannot write to {uri}: the file system is read-only") from err
        raise
    except Exception as err:
        if type(err).__name__ in _NO_CREDENTIALS:
            raise ConfigError(
                f"no credentials for {uri}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or AWS_PROFILE"
            ) from err
        if type(err).__name__ in _NO_ANSWER:
            raise ConnectionError(f"{uri} cannot be reached: {err}") from err
        raise


def _entries(uri: str) -> list[dict[str, Any]]:
    """What lies directly under a location, as its filesystem tells; nothing where it is absent."""
    fs, path = _resolve(uri)
    try:
        with _explained(uri):
            return list(fs.ls(path, detail=True))
    except (FileNotFoundError, ConfigError):
        return []


def _modified_sec(entry: Mapping[str, Any]) -> float:
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = entry.get(key)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if value is not None:
            return float(value)
    raise OSError(f"{entry['name']}: its store does not say when it was changed")


def _missing(uri: str) -> str:
    protocol, _, rest = uri.partition("://")
    if not rest or protocol == "file":
        return f"there is no file {uri}; check the path"
    bucket = rest.partition("/")[0]
    return f"there is no {uri}; check that bucket {bucket!r} exists and the key is right"
