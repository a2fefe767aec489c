"""Parquet files opened with their checksums checked, and what is wrong with one in one sentence."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import storage
from pipelines.errors import ShardError

log = logging.getLogger(__name__)

T = TypeVar("T")


@contextmanager
def open_parquet(
    uri: str, *, whole: bool = True, checksums: bool = True
) -> Iterator[pq.ParquetFile]:
    """Opens a stored Parquet file, each page of which is checked when it is read.

    Args:
      whole: most of it will be read; a remote one is then fetched at once, checked against the
        checksum of its store, and held in memory. Of another only the pages are checked: see
        `reread`.
      checksums: whether pages are checked, and on S3 what came of a whole file; needless where
        what they hold has a digest that is.

    Raises:
      ShardError: the file, or what is read of it, is damaged.
    """
    try:
        with _opened(uri, whole=whole, checksums=checksums) as source:
            yield pq.ParquetFile(source, page_checksum_verification=checksums)
    except (pa.ArrowException, UnicodeDecodeError) as err:
        raise ShardError(f"{uri} is damaged: {_one_line(err)}") from err
    except OSError as err:
        # Damage too is an OSError to pyarrow, but bare and without a number, which no failure of
        # input is: those are for a retry to catch.
        if type(err) is not OSError or err.errno is not None:
            raise
        raise ShardError(f"{uri} is damaged: {_one_line(err)}") from err


def reread(uri: str, read: Callable[[], T]) -> T:
    """Return what a reading gives; read a remote file that came damaged once more.

    Raises:
      ShardError: it is damaged in the store.
    """
    try:
        return read()
    except ShardError as err:
        if storage.local_path(uri) is not None:
            raise
        log.warning("%s; reading it again", err)
        return read()


@contextmanager
def _opened(uri: str, *, whole: bool, checksums: bool) -> Iterator[Any]:
    if whole and storage.local_path(uri) is None:
        # Arrow's own buffer: pages are decoded where they lie, without the interpreter's lock.
        yield pa.BufferReader(pa.py_buffer(storage.read(uri, checksum=checksums)))
        return
    with storage.open_seekable(uri) as source:
        yield source


def _one_line(err: Exception) -> str:
    return " ".join(str(err).split())
