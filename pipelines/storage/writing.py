"""Objects written whole, created only where absent, and removed."""

import secrets
from contextlib import suppress
from pathlib import Path

from pipelines.storage.conditional import (
    create_once,
    honours_create,
    keeps_marks,
    warn_unguarded,
    written_by,
)
from pipelines.storage.failures import explained
from pipelines.storage.filesystem import pipe, resolve
from pipelines.storage.local import create_local, put_local
from pipelines.storage.location import local_path, parent
from pipelines.storage.reading import exists, read
from pipelines.storage.retry import retried


def put(uri: str, data: bytes) -> None:
    """Writes an object whole, in the place of any that was there.

    Atomic: readers see the old object or the new one. May be repeated. An attempt whose reply was
    lost is looked up first, and written again only where the object is not there with this content.
    """
    fs, path = resolve(uri)
    local = local_path(uri)
    with explained(uri):
        if local is not None:
            put_local(local, data)
            return

        def write() -> bool:
            pipe(fs, path, data)
            return True

        retried(uri, write, again=lambda: _holds(uri, data) or write())


def create(uri: str, data: bytes) -> bool:
    """Writes an object unless there is one; says whether it did.

    Atomic: of many writers at once exactly one gets True, and its object stays. A second call gets
    False, with the same content too. Where a reply was lost, the object tells whether it is ours:
    on S3 and on gs:// by a mark of this call beside it, elsewhere by its content.

    A store that cannot do that (`conditional` asks it and warns) is looked at before and after a
    plain put, which keeps apart only writers that do not meet.
    """
    local = local_path(uri)
    resolve(uri)
    with explained(uri):
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

        return retried(
            uri,
            # aiohttp sends a put a second time, unasked, where the connection broke before the
            # reply: what refuses even the first attempt may be our own object.
            lambda: create_once(uri, data, writer=writer) or (marked and ours()),
            again=lambda: ours() or create_once(uri, data, writer=writer) or ours(),
        )


def put_file(path: Path, uri: str) -> None:
    """Writes a local file's content as an object, as `put` does."""
    put(uri, path.read_bytes())


def remove(uri: str) -> None:
    """Removes an object or an empty local folder; one that is gone is no error. May be repeated."""
    fs, path = resolve(uri)
    local = local_path(uri)
    with explained(uri), suppress(FileNotFoundError):
        if local is None:
            retried(uri, lambda: fs.rm_file(path))
        elif local.is_dir():
            local.rmdir()
        else:
            local.unlink()


def _holds(uri: str, data: bytes) -> bool:
    """Whether a remote object is there with this content; one attempt."""
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
