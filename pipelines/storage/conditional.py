"""Whether a store creates only what is absent: asked of the store itself, once in a process."""

import logging
import os
import secrets
from typing import Final

from pipelines.storage.failures import explained, is_refusal, is_unsupported, no_store
from pipelines.storage.filesystem import cat, is_s3, pipe, resolve
from pipelines.storage.google import is_google
from pipelines.storage.location import join, parent, protocol_of
from pipelines.storage.retry import retried

PROBE_PREFIX: Final = ".nsynth-probe-"
"""What the names of probes begin with; a killed process leaves one."""

_PROBES: Final = (b"first", b"second")
_WRITER: Final = "nsynth-writer"
_MARKS: Final = {"s3": "Metadata", "s3a": "Metadata", "gs": "metadata", "gcs": "metadata"}
"""What s3fs and gcsfs call the words that stand beside an object."""

log = logging.getLogger(__name__)

_honoured: Final[dict[tuple[str | None, str], bool]] = {}


def honours_create(uri: str) -> bool:
    """Whether the store of a remote object creates only what is absent; asks it where unknown."""
    known = _honoured.get(_store_of(uri))
    return probe(parent(uri)) if known is None else known


def probe(folder: str) -> bool:
    """Creates one object twice, to see whether a remote store refuses the second, and removes it.

    Where it does not, a warning says so. The name is this call's own: another process that removed
    a shared one in between would make an honest store look like a careless one.

    Returns:
      Whether the store honours create-if-absent.
    """
    uri = join(folder, PROBE_PREFIX + secrets.token_hex(8))
    fs, path = resolve(uri)

    def refuses_second() -> bool:
        # Refusing the first is proof as well: its reply was lost and it is tried again.
        return not all(create_once(uri, content) for content in _PROBES)

    with explained(folder):
        try:
            honoured = retried(uri, refuses_second)
        except NotImplementedError:
            honoured = False
            retried(uri, lambda: pipe(fs, path, _PROBES[0]))
        # A web page in the place of a store takes everything, and keeps nothing.
        if not honoured and retried(uri, lambda: cat(fs, path, uri))[0] not in _PROBES:
            raise no_store(uri)
        retried(uri, lambda: fs.rm_file(path))
    _honoured[_store_of(uri)] = honoured
    if not honoured:
        warn_unguarded(folder)
    return honoured


def create_once(uri: str, data: bytes, *, writer: str = "") -> bool:
    """One attempt to create a remote object; says whether the store did not refuse.

    Args:
      writer: who writes; goes beside the object where `keeps_marks`, for `written_by`.

    Raises:
      NotImplementedError: the store says that it cannot.
    """
    fs, path = resolve(uri)
    mark = {_MARKS[protocol_of(uri)]: {_WRITER: writer}} if writer and keeps_marks(uri) else {}
    try:
        pipe(fs, path, data, mode="create", **mark)
    except Exception as err:
        if is_refusal(err):
            return False
        if is_unsupported(err):
            raise NotImplementedError("no conditional put") from err
        raise
    return True


def keeps_marks(uri: str) -> bool:
    """Whether the store of a location keeps words of ours beside an object."""
    return protocol_of(uri) in _MARKS


def written_by(uri: str, writer: str) -> bool:
    """Whether an object is the one that `create_once` wrote for this writer; one attempt.

    Only of a store that `keeps_marks`.
    """
    fs, path = resolve(uri)
    try:
        marks = fs.metadata(path) if is_s3(uri) else fs.info(path).get("metadata", {})
        return bool(marks.get(_WRITER) == writer)
    except FileNotFoundError:
        return False


def warn_unguarded(folder: str) -> None:
    """Says that nothing but the user keeps two jobs apart."""
    log.warning(
        "WARNING: %s cannot create-if-absent (If-None-Match is ignored, or there are no hard "
        "links): let only one job at a time write there",
        folder,
    )


def _store_of(uri: str) -> tuple[str | None, str]:
    """The server and the bucket: what honours or ignores a condition."""
    if is_google(uri):
        endpoint = os.environ.get("STORAGE_EMULATOR_HOST")
    else:
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return endpoint, "/".join(uri.split("/")[:3])
