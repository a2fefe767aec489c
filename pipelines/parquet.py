"""Parquet files opened with their checksums checked, and what is wrong with one in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import storage
from pipelines.errors import ShardError


@contextmanager
def open_parquet(uri: str) -> Iterator[pq.ParquetFile]:
    """Opens a stored Parquet file, each page of which is checked when it is read.

    Raises:
      ShardError: the file, or what is read of it, is damaged.
    """
    try:
        with storage.open_seekable(uri) as source:
            yield pq.ParquetFile(source, page_checksum_verification=True)
    except (pa.ArrowException, UnicodeDecodeError) as err:
        raise ShardError(f"{uri} is damaged: {_one_line(err)}") from err
    except OSError as err:
        # Damage too is an OSError to pyarrow, but bare and without a number, which no failure of
        # input is: those are for a retry to catch.
        if type(err) is not OSError or err.errno is not None:
            raise
        raise ShardError(f"{uri} is damaged: {_one_line(err)}") from err


def _one_line(err: Exception) -> str:
    return " ".join(str(err).split())
