"""Object storage and local folders behind one interface; only one module imports fsspec.

A location is `s3://bucket/key`, any other fsspec URI, or a path of this machine.

- Objects are written whole: locally by a temporary file and a rename, remotely by one put. A reader
  never sees half an object.
- Transient failures (a 5xx answer, throttling, a connection that is cut or stalls) are retried here
  and nowhere else, for every function: all of them may be repeated. A write whose reply was lost is
  looked up, not repeated blindly.
- A failure that the user can mend (no such file, no permission, no such bucket) is a ConfigError;
  every other failure is an OSError, which the retry of a whole stage catches.
"""

from pipelines.storage.cleanup import is_at_work, leased, sweep_uploads, wait_for
from pipelines.storage.location import (
    absolute,
    base_note,
    cache_dir,
    is_link,
    join,
    local_path,
    name,
    parent,
    refuse_credentials,
    without_query,
)
from pipelines.storage.preflight import check_exists, check_visible, check_writable, free_bytes
from pipelines.storage.reading import (
    exists,
    glob,
    identities,
    identity,
    is_folder,
    list_folders,
    list_names,
    modified,
    open_seekable,
    read,
    read_range,
    sizes,
)
from pipelines.storage.settings import apply_forwarded, settings_to_forward
from pipelines.storage.writing import create, put, put_file, remove

__all__ = [
    "absolute",
    "apply_forwarded",
    "base_note",
    "cache_dir",
    "check_exists",
    "check_visible",
    "check_writable",
    "create",
    "exists",
    "free_bytes",
    "glob",
    "identities",
    "identity",
    "is_at_work",
    "is_folder",
    "is_link",
    "join",
    "leased",
    "list_folders",
    "list_names",
    "local_path",
    "modified",
    "name",
    "open_seekable",
    "parent",
    "put",
    "put_file",
    "read",
    "read_range",
    "refuse_credentials",
    "remove",
    "settings_to_forward",
    "sizes",
    "sweep_uploads",
    "wait_for",
    "without_query",
]
