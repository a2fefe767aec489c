"""The root of a job, looked at before any work is done for it."""

import shutil
import tempfile

from pipelines.errors import ConfigError
from pipelines.storage.conditional import honours_create, probe
from pipelines.storage.failures import explained
from pipelines.storage.filesystem import resolve
from pipelines.storage.location import join, local_path


def check_writable(root: str) -> None:
    """Refuses a root that nothing can be written to, and leaves it as it was.

    Warns where the store ignores create-if-absent.

    Raises:
      ConfigError: the folder or the bucket is missing, or writing to it is not allowed.
    """
    resolve(root)
    local = local_path(root)
    if local is None:
        probe(root)
        return
    with explained(root):
        try:
            local.mkdir(parents=True, exist_ok=True)
        except (FileNotFoundError, FileExistsError) as err:
            raise ConfigError(f"cannot make the folder {root}: {err.strerror}") from err
        with tempfile.TemporaryFile(dir=local):
            return


def check_visible(folder: str) -> None:
    """Refuses a folder of a job that this process, which was given it by another, cannot use.

    Raises:
      ConfigError: it is not there, closed to this process, or its store does not answer.
    """
    local = local_path(folder)
    try:
        if local is None:
            # It writes, once in a process, and takes away what it wrote.
            honours_create(join(folder, "manifest.json"))
        elif not local.is_dir():
            raise ConfigError("there is no such folder on the machine of the worker")
    except (ConfigError, OSError) as err:
        raise ConfigError(
            f"a worker cannot use {folder}: {err}; what it needs to get there, credentials above "
            "all, has to be in its own environment"
        ) from err


def free_bytes(root: str) -> int | None:
    """Bytes that may still be written under a root, which need not exist; None for a remote one."""
    path = local_path(root)
    if path is None:
        return None
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
