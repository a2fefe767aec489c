"""Check the root of a job before any work starts."""

import shutil
import tempfile

from pipelines.errors import ConfigError
from pipelines.storage.failures import (
    is_missing_bucket,
    missing_bucket,
    no_store,
    user_errors,
    with_retries,
)
from pipelines.storage.filesystem import resolve
from pipelines.storage.location import broken_link, bucket_of, is_s3, join, local_path
from pipelines.storage.reading import exists
from pipelines.storage.writing import honours_create, probe


def check_writable(root: str) -> None:
    """Refuse a root that cannot be written to, and leave it unchanged.

    Log a warning if the store ignores create-if-absent.

    Raises:
      ConfigError: the folder or the bucket is missing, or writing to it is not allowed.
    """
    resolve(root)
    local = local_path(root)
    if local is None:
        probe(root)
        return
    with user_errors(root):
        try:
            local.mkdir(parents=True, exist_ok=True)
        except (FileNotFoundError, FileExistsError) as err:
            raise ConfigError(f"cannot make the folder {root}: {err.strerror}") from err
        with tempfile.TemporaryFile(dir=local):
            return


def check_exists(uri: str) -> None:
    """Refuse a location that does not exist, so that a typo does not look like an empty root.

    An empty folder or bucket exists; in a bucket a folder exists if it holds an object.

    Raises:
      ConfigError: it is not there.
    """
    fs, path = resolve(uri)
    local = local_path(uri)
    with user_errors(uri):
        if local is not None:
            if not exists(uri):
                kind = "file" if local.suffix else "folder"
                raise ConfigError(broken_link(local) or f"there is no {kind} {uri}; check the path")
            return
        try:
            with_retries(uri, lambda: fs.info(path))
        except FileNotFoundError as err:
            if is_missing_bucket(err) or path.strip("/") == bucket_of(uri):
                raise ConfigError(missing_bucket(uri)) from err
            raise ConfigError(f"there is nothing in {uri}; check the path") from err
        if is_s3(uri):
            where = {"Bucket": bucket_of(uri), "MaxKeys": 1}
            # A web page is read as an empty listing, but has no name.
            if "Name" not in with_retries(uri, lambda: fs.call_s3("list_objects_v2", **where)):
                raise no_store(uri)


def check_visible(folder: str) -> None:
    """Refuse a job's folder, given by another process, that this process cannot use.

    Raises:
      ConfigError: it does not exist, is closed to this process, or its store does not answer.
    """
    local = local_path(folder)
    try:
        if local is None:
            # It writes once per process and removes what it wrote.
            honours_create(join(folder, "manifest.json"))
        elif not local.is_dir():
            raise ConfigError("there is no such folder on the machine of the worker")
    except (ConfigError, OSError) as err:
        raise ConfigError(
            f"a worker cannot use {folder}: {err}; what it needs to get there, credentials above "
            "all, has to be in its own environment"
        ) from err


def free_bytes(root: str) -> int | None:
    """Return the free bytes under a root, which need not exist; None for a remote one."""
    path = local_path(root)
    if path is None:
        return None
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
