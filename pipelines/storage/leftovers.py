"""What killed writers leave behind: half uploads, temporary files, probes, leases."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.storage.conditional import PROBE_PREFIX
from pipelines.storage.failures import explained
from pipelines.storage.filesystem import is_s3, resolve
from pipelines.storage.lease import LEASE_PREFIX, VALID_SEC
from pipelines.storage.listing import modified_sec
from pipelines.storage.local import TEMPORARY
from pipelines.storage.location import join, local_path, name
from pipelines.storage.retry import retried
from pipelines.storage.writing import remove


def sweep_uploads(root: str, older_than_sec: float, *, dry_run: bool = False) -> list[str]:
    """Removes what killed writers left under a root. No reader ever sees it, but it is paid for.

    Multipart uploads that were never completed (on S3), temporary files (on this machine), probes
    of create-if-absent, and leases that are not valid any more. May be repeated.

    Args:
      older_than_sec: younger ones may belong to a writer at work and are left alone.
      dry_run: remove nothing.

    Returns:
      The locations of what was found, sorted.
    """
    newest = time.time() - older_than_sec
    local = local_path(root)
    with explained(root):
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
            # A link leads back to where this walk has been.
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        for path in (Path(parent, file) for file in names if _is_leftover(file)):
            try:
                if path.lstat().st_mtime <= _newest_of(path.name, newest):
                    yield str(path)
            except FileNotFoundError:
                # Its writer finished.
                continue


def _probes(root: str, newest: float) -> Iterator[str]:
    fs, path = resolve(root)
    for place, entry in retried(root, lambda: fs.find(path, detail=True)).items():
        if _is_leftover(name(place)) and modified_sec(entry) <= _newest_of(name(place), newest):
            yield str(fs.unstrip_protocol(place))


def _is_leftover(name: str) -> bool:
    return name.startswith((PROBE_PREFIX, LEASE_PREFIX)) or bool(TEMPORARY.fullmatch(name))


def _newest_of(name: str, newest: float) -> float:
    """The latest time of change with which an object of this name is removed."""
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
        retried(root, partial(_abort, fs, which))
    return [join(f"s3://{bucket}", upload["Key"]) for upload in stale]


def _abort(fs: Any, which: dict[str, str]) -> None:
    # It may have been completed or swept in the meantime.
    with suppress(FileNotFoundError):
        fs.call_s3("abort_multipart_upload", **which)


def _uploads(fs: Any, root: str, **where: str) -> Iterator[dict[str, Any]]:
    """The multipart uploads under a prefix, page by page."""
    while True:
        page = retried(root, partial(fs.call_s3, "list_multipart_uploads", **where))
        yield from page.get("Uploads", [])
        if not page.get("IsTruncated"):
            return
        where |= {
            "KeyMarker": page["NextKeyMarker"],
            "UploadIdMarker": page["NextUploadIdMarker"],
        }
