"""Files of this machine written whole: synced beside their place, then given their name."""

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

TEMPORARY: Final = re.compile(r"\..+\.[a-z0-9_]{8}\.nsynth-part")
"""What `temporary_beside` calls its files; a killed process leaves one."""

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
    """Writes a file in the place of any that was there; atomic by rename."""
    with temporary_beside(path, data) as temporary:
        temporary.replace(path)


def create_local(path: Path, data: bytes) -> bool:
    """Writes a file unless there is one, and says whether it did; atomic by a hard link.

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
    """A synced temporary file with `data` in the folder of `path`; removed in the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{path.name}.", suffix=".nsynth-part", dir=path.parent
    )
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
