"""Write local files whole: sync a temporary file beside the target, then rename it."""

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TEMPORARY: Final = re.compile(r"\..+\.[a-z0-9_]{8}\.nsynth-part")


_NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


def broken_link(path: Path) -> str:
    """Say which link on the way to a path leads nowhere; return an empty text where none does."""
    for place in (*reversed(path.parents), path):
        try:
            if place.is_symlink():
                place.stat()
        except FileNotFoundError:
            return (
                f"{place} is a link to {place.readlink()}, which does not exist; put that back or "
                "remove the link"
            )
        except OSError as err:
            if err.errno == errno.ELOOP:
                return f"{place} is a link that leads back to itself; remove it"
            # The caller's own failure says more.
            return ""
    return ""


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
