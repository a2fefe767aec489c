"""A file that one process at a time may write, by a lock that ends with its process."""

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

_MODES: Final = {os.O_RDONLY: "rb", os.O_RDWR: "r+b"}

log = logging.getLogger(__name__)


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The descriptor of the file of this name, made where there is none, for this process alone.

    Who holds it may rename or remove the file: who waits then looks for the name again.
    """
    while True:
        with open_own(path, os.O_RDWR | os.O_CREAT) as file:
            _wait(file.fileno(), path)
            if _is_named(file.fileno(), path):
                yield file.fileno()
                return


def open_own(path: Path, flags: int) -> BinaryIO:
    """Open a file, unless its name leads to another one: then the name is removed first.

    That is a symbolic link, a pipe and the like; and, to be written, a file that has more names.

    Args:
      flags: os.O_RDONLY, or os.O_RDWR with or without os.O_CREAT.

    Raises:
      FileNotFoundError: there is no such file, or none of our own, and it is not to be made.
    """
    while True:
        try:
            # Without O_NONBLOCK a pipe is waited for.
            descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as err:
            if err.errno not in (errno.ELOOP, errno.ENXIO):
                raise
        else:
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                os.close(descriptor)
                raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
            is_shared = found.st_nlink > 1 and flags & os.O_RDWR
            if stat.S_ISREG(found.st_mode) and not is_shared:
                return _opened(path, descriptor, _MODES[flags & os.O_RDWR])
            os.close(descriptor)
        log.warning("removing %s, which is a link or no file; a file takes its place", path)
        path.unlink(missing_ok=True)


def _opened(path: Path, descriptor: int, mode: str) -> BinaryIO:
    """Return a file object of an open descriptor that knows its name."""
    return cast(BinaryIO, open(path, mode, opener=lambda *_: descriptor))


def _wait(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("waiting for another process, which writes %s", path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
