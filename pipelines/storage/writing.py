"""Write objects whole, create them only where absent, and remove them.

On this machine a file is written and synced under a temporary name in the same folder, then
renamed. Of a remote store it is tested once per process whether it honours create-if-absent.
"""

import errno
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pipelines.storage.failures import (
    is_refusal,
    is_unsupported,
    no_store,
    user_errors,
    with_retries,
)
from pipelines.storage.filesystem import cat, pipe, resolve
from pipelines.storage.location import is_google, is_s3, join, local_path, parent, protocol_of
from pipelines.storage.reading import exists, read

# The names of `temporary_beside`'s files; a killed process leaves one.
TEMPORARY: Final = re.compile(r"\..+\.[a-z0-9_]{8}\.nsynth-part")

_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)

# The beginning of the names of probes; a killed process leaves one.
PROBE_PREFIX: Final = ".nsynth-probe-"

_PROBES: Final = (b"first", b"second")
_WRITER: Final = "nsynth-writer"
# The names that s3fs and gcsfs have for the metadata of an object.
_MARKS: Final = {"s3": "Metadata", "s3a": "Metadata", "gs": "metadata", "gcs": "metadata"}

log = logging.getLogger(__name__)
_honoured: Final[dict[tuple[str | None, str], bool]] = {}


def put_local(path: Path, data: bytes) -> None:
    """Write a file and replace any present one; atomic by rename."""
    with temporary_beside(path, data) as temporary:
        temporary.replace(path)


def create_local(path: Path, data: bytes) -> bool:
    """Write a file unless it exists; return whether it was written; atomic by a hard link.

    Raises:
      NotImplementedError: the file system has no hard links.
    """
    with temporary_beside(path, data) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError as err:
            if err.errno in _NO_LINKS:
                raise NotImplementedError("no hard links") from err
            raise
    return True


@contextmanager
def temporary_beside(path: Path, data: bytes) -> Iterator[Path]:
    """Yield a synced temporary file with `data` in the folder of `path`; remove it at the end.

    Its permissions are those that `open` would give `path`: those of the present file, or what the
    umask of this process allows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.nsynth-part")
    mode = _mode(path)
    # Private until it gets the permissions of the file that it replaces.
    flags, first_mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600
    with os.fdopen(os.open(temporary, flags, first_mode), "wb") as file:
        try:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int | None:
    """Return the permissions of a file; None for a missing file or a link."""
    try:
        found = path.lstat().st_mode
    except FileNotFoundError:
        return None
    return stat.S_IMODE(found) if stat.S_ISREG(found) else None


def honours_create(uri: str) -> bool:
    """Return whether a remote store honours create-if-absent; ask it once per process."""
    known = _honoured.get(_store_of(uri))
    return probe(parent(uri)) if known is None else known


def probe(folder: str) -> bool:
    """Create one object twice to see whether a remote store refuses the second, and remove it.

    Log a warning if it does not. The name belongs to this call: if another process removed a shared
    object in between, a correct store would seem to ignore the condition.

    Returns:
      Whether the store honours create-if-absent.
    """
    uri = join(folder, PROBE_PREFIX + secrets.token_hex(8))
    fs, path = resolve(uri)

    def refuses_second() -> bool:
        # Refusing the first is proof as well: its reply was lost and it was retried.
        return not all(create_once(uri, content) for content in _PROBES)

    with user_errors(folder):
        try:
            honoured = with_retries(uri, refuses_second)
        except NotImplementedError:
            honoured = False
            with_retries(uri, lambda: pipe(fs, path, _PROBES[0]))
        # A web server instead of a store accepts every write and stores nothing.
        if not honoured and with_retries(uri, lambda: cat(fs, path, uri))[0] not in _PROBES:
            raise no_store(uri)
        with_retries(uri, lambda: fs.rm_file(path))
    _honoured[_store_of(uri)] = honoured
    if not honoured:
        warn_unguarded(folder)
    return honoured


def create_once(uri: str, data: bytes, *, writer: str = "") -> bool:
    """Make one attempt to create a remote object; return whether the store accepted it.

    Args:
      writer: identity of the caller, stored as metadata where `keeps_marks`, for `written_by`.

    Raises:
      NotImplementedError: the store says that it cannot.
    """
    fs, path = resolve(uri)
    mark = {_MARKS[protocol_of(uri)]: {_WRITER: writer}} if writer and keeps_marks(uri) else {}
    try:
        pipe(fs, path, data, mode="create", **mark)
    except Exception as err:
        if is_refusal(err):
            return False
        if is_unsupported(err):
            raise NotImplementedError("no conditional put") from err
        raise
    return True


def keeps_marks(uri: str) -> bool:
    """Return whether the store of a location keeps metadata of an object."""
    return protocol_of(uri) in _MARKS


def written_by(uri: str, writer: str) -> bool:
    """Return whether `create_once` wrote an object for this writer; makes one attempt.

    Only for a store that `keeps_marks`.
    """
    fs, path = resolve(uri)
    try:
        marks = fs.metadata(path) if is_s3(uri) else fs.info(path).get("metadata", {})
        return bool(marks.get(_WRITER) == writer)
    except FileNotFoundError:
        return False


def warn_unguarded(folder: str) -> None:
    """Warn that the store does not keep two jobs apart."""
    log.warning(
        "WARNING: %s cannot create-if-absent (If-None-Match is ignored, or there are no hard "
        "links): let only one job at a time write there",
        folder,
    )


def _store_of(uri: str) -> tuple[str | None, str]:
    """Return server and bucket, which honour or ignore a condition."""
    if is_google(uri):
        endpoint = os.environ.get("STORAGE_EMULATOR_HOST")
    else:
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return endpoint, "/".join(uri.split("/")[:3])


def put(uri: str, data: bytes) -> None:
    """Write an object whole and replace any present one.

    Atomic: readers see the old object or the new one. May be repeated. After an attempt whose reply
    was lost the object is looked up, and written again only if it does not have this content.
    """
    fs, path = resolve(uri)
    local = local_path(uri)
    with user_errors(uri):
        if local is not None:
            put_local(local, data)
            return

        def write() -> bool:
            pipe(fs, path, data)
            return True

        with_retries(uri, write, again=lambda: _holds(uri, data) or write())


def create(uri: str, data: bytes) -> bool:
    """Write an object unless it exists; return whether it was written.

    Atomic: of many concurrent writers exactly one gets True, and its object stays. A second call
    gets False, even with the same content. After a lost reply the object itself shows which writer
    wrote it: on S3 and gs:// by metadata of this call, elsewhere by its content.

    For a store that cannot do that (`honours_create` asks it and warns) the object is looked up
    before and after a plain put, which does not separate concurrent writers.
    """
    local = local_path(uri)
    resolve(uri)
    with user_errors(uri):
        if local is not None:
            try:
                return create_local(local, data)
            except NotImplementedError:
                warn_unguarded(parent(uri))
                return _create_unguarded(uri, data)
        if not honours_create(uri):
            return _create_unguarded(uri, data)
        writer, marked = secrets.token_hex(8), keeps_marks(uri)

        def ours() -> bool:
            return written_by(uri, writer) if marked else _holds(uri, data)

        return with_retries(
            uri,
            # aiohttp sends a put a second time by itself where the connection broke before the
            # reply, so even the first attempt may be refused because of our own object.
            lambda: create_once(uri, data, writer=writer) or (marked and ours()),
            again=lambda: ours() or create_once(uri, data, writer=writer) or ours(),
        )


def put_file(path: Path, uri: str) -> None:
    """Write a local file's content as an object, as `put` does."""
    put(uri, path.read_bytes())


def remove(uri: str) -> None:
    """Remove an object or an empty local folder, if it exists. May be repeated."""
    fs, path = resolve(uri)
    local = local_path(uri)
    with user_errors(uri), suppress(FileNotFoundError):
        if local is None:
            with_retries(uri, lambda: fs.rm_file(path))
        elif local.is_dir():
            local.rmdir()
        else:
            local.unlink()


def _holds(uri: str, data: bytes) -> bool:
    """Return whether a remote object has this content; makes one attempt."""
    fs, path = resolve(uri)
    try:
        return bool(fs.info(path)["size"] == len(data) and fs.cat_file(path) == data)
    except FileNotFoundError:
        return False


def _create_unguarded(uri: str, data: bytes) -> bool:
    if exists(uri):
        return False
    put(uri, data)
    return read(uri) == data
