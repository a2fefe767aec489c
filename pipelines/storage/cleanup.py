"""Leases on folders in use, and removal of what killed writers left there.

A folder takes any number of leases of either kind of work. The two kinds exclude each other: each
writes its own lease first and looks for the other's then, so that at least one sees the other. A
killed process leaves its lease, which expires after a few minutes.
"""

import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from pipelines.errors import ConfigError
from pipelines.storage.failures import user_errors, with_retries
from pipelines.storage.filesystem import resolve
from pipelines.storage.location import is_s3, join, local_path, name
from pipelines.storage.reading import modified, modified_sec
from pipelines.storage.writing import PROBE_PREFIX, TEMPORARY, put, remove

# The beginning of the names of leases.
LEASE_PREFIX: Final = ".nsynth-lease-"

VALID_SEC: Final = 600.0
_RENEW_SEC: Final = 60.0
_POLL_SEC: Final = 1.0

# Work on the folder of a data set; each of the two excludes the other.
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


def sweep_uploads(root: str, older_than_sec: float, *, dry_run: bool = False) -> list[str]:
    """Remove what killed writers left under a root; no reader sees it, but it costs storage.

    Multipart uploads that were never completed (on S3), temporary files (on this machine), probes
    of create-if-absent, and expired leases. May be repeated.

    Args:
      older_than_sec: younger ones may belong to a running writer and stay.
      dry_run: remove nothing.

    Returns:
      The locations of the leftovers, sorted.
    """
    newest = time.time() - older_than_sec
    local = local_path(root)
    with user_errors(root):
        if local is not None:
            found = list(_temporary_files(local, newest))
        else:
            found = list(_probes(root, newest))
        if not dry_run:
            for uri in found:
                remove(uri)
        if is_s3(root):
            found += _sweep_multipart(root, newest, dry_run=dry_run)
    return sorted(found)


def _temporary_files(folder: Path, newest: float) -> Iterator[str]:
    seen = set[tuple[int, int]]()
    for parent, folders, names in os.walk(folder, followlinks=True):
        stat = Path(parent).stat()
        if (stat.st_dev, stat.st_ino) in seen:
            # A link may lead back to a folder that was visited.
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        for path in (Path(parent, file) for file in names if _is_leftover(file)):
            try:
                if path.lstat().st_mtime <= _newest_of(path.name, newest):
                    yield str(path)
            except FileNotFoundError:
                # Its writer has finished.
                continue


def _probes(root: str, newest: float) -> Iterator[str]:
    fs, path = resolve(root)
    for place, entry in with_retries(root, lambda: fs.find(path, detail=True)).items():
        if _is_leftover(name(place)) and modified_sec(entry) <= _newest_of(name(place), newest):
            yield str(fs.unstrip_protocol(place))


def _is_leftover(name: str) -> bool:
    return name.startswith((PROBE_PREFIX, LEASE_PREFIX)) or bool(TEMPORARY.fullmatch(name))


def _newest_of(name: str, newest: float) -> float:
    """Return the latest modification time at which an object of this name is removed."""
    is_lease = name.startswith(LEASE_PREFIX)
    return min(newest, time.time() - VALID_SEC) if is_lease else newest


def _sweep_multipart(root: str, newest: float, *, dry_run: bool) -> list[str]:
    fs, path = resolve(root)
    bucket, _, prefix = path.partition("/")
    stale = [
        upload
        for upload in _uploads(fs, root, Bucket=bucket, Prefix=prefix and f"{prefix}/")
        if upload["Initiated"].timestamp() <= newest
    ]
    for upload in [] if dry_run else stale:
        which = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
        with_retries(root, partial(_abort, fs, which))
    return [join(f"s3://{bucket}", upload["Key"]) for upload in stale]


def _abort(fs: Any, which: dict[str, str]) -> None:
    # It may have been completed or removed in the meantime.
    with suppress(FileNotFoundError):
        fs.call_s3("abort_multipart_upload", **which)


def _uploads(fs: Any, root: str, **where: str) -> Iterator[dict[str, Any]]:
    """Yield the multipart uploads under a prefix, page by page."""
    while True:
        page = with_retries(root, partial(fs.call_s3, "list_multipart_uploads", **where))
        yield from page.get("Uploads", [])
        if not page.get("IsTruncated"):
            return
        where |= {
            "KeyMarker": page["NextKeyMarker"],
            "UploadIdMarker": page["NextUploadIdMarker"],
        }
