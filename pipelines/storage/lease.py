"""Leases: objects that mark a folder as in use, renewed until the work ends.

A folder may have any number of leases of any kind of work. Two kinds that exclude each other each
write their own lease first and then look for the other's, so that at least one sees the other. The
lease of a killed process expires after a few minutes.
"""

import logging
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from pipelines.errors import ConfigError
from pipelines.storage.listing import modified
from pipelines.storage.location import join, name
from pipelines.storage.writing import put, remove

LEASE_PREFIX: Final = ".nsynth-lease-"


VALID_SEC: Final = 600.0
_RENEW_SEC: Final = 60.0
_POLL_SEC: Final = 1.0

Work = Literal["convert", "clean"]


log = logging.getLogger(__name__)


@contextmanager
def leased(folder: str, work: Work) -> Iterator[str]:
    """Hold a lease on a folder while the block runs.

    Yields:
      The location of the lease, for `is_at_work`.
    """
    uri = join(folder, f"{LEASE_PREFIX}{work}-{secrets.token_hex(8)}")
    put(uri, b"")
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(_RENEW_SEC):
            try:
                put(uri, b"")
            except (ConfigError, OSError) as err:
                # The work itself meets the same failure and reports it.
                log.debug("cannot renew %s: %s", uri, err)

    renewer = threading.Thread(target=renew, daemon=True)
    renewer.start()
    try:
        yield uri
    finally:
        ended.set()
        renewer.join()
        remove(uri)


def is_at_work(folder: str, work: Work, *, own: str) -> bool:
    """Return whether a process holds a lease for a kind of work on a folder.

    Args:
      own: the caller's lease, of any kind; its time is the store's present time.
    """
    signs = modified(folder)
    now = signs.pop(name(own), time.time())
    return any(
        sign.startswith(f"{LEASE_PREFIX}{work}-") and now - changed < VALID_SEC
        for sign, changed in signs.items()
    )


def wait_for(folder: str, work: Work, *, own: str) -> None:
    """Wait until no process holds a lease for a kind of work on a folder; see `is_at_work`."""
    is_told = False
    while is_at_work(folder, work, own=own):
        if not is_told:
            log.info("waiting for another process (%s), which is at work in %s", work, folder)
            is_told = True
        time.sleep(_POLL_SEC)
