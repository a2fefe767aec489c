"""Parquet files with checksums verified, whose damage is reported in one sentence."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import storage
from pipelines.errors import ShardError

log = logging.getLogger(__name__)

T = TypeVar("T")

# Many small row groups read 20 times slower, and a reader holds a whole one.
_ROW_GROUP_ROWS: Final = 256
_ROW_GROUP_SAMPLES: Final = 256 * 8_000


@contextmanager
def open_parquet(
    uri: str, *, whole: bool = True, checksums: bool = True
) -> Iterator[pq.ParquetFile]:
    """Open a stored Parquet file; each page is verified when it is read.

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


def encode(table: pa.Table) -> bytes:
    """Return the bytes of a Parquet file with a checksum in each page."""
    # Writing to a Python file object would take the interpreter's lock for each page.
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        write_page_checksum=True,
        # Floats of similar magnitude share their high bytes; samples hardly ever repeat.
        use_byte_stream_split=["audio.list.element"] if "audio" in table.column_names else False,
        use_dictionary=[name for name in table.column_names if name.endswith("_str")],
        # The smallest and largest sample of a page are of no use to a reader.
        write_statistics=[name for name in table.column_names if name != "audio"],
    ) as writer:
        # Hugging Face's reader stops at a row group without rows.
        if table.num_rows:
            writer.write_table(table, row_group_size=_row_group_rows(table.schema))
    return cast(bytes, sink.getvalue().to_pybytes())


def _row_group_rows(schema: pa.Schema) -> int:
    """Return the rows of a row group: fewer where notes are long, so that its bytes are bounded."""
    place = schema.get_field_index("audio")
    if place < 0:
        return _ROW_GROUP_ROWS
    num_samples: int = schema.field(place).type.list_size
    return max(1, min(_ROW_GROUP_ROWS, _ROW_GROUP_SAMPLES // num_samples))


def write_table(uri: str, table: pa.Table) -> None:
    """Store a table as a Parquet file."""
    storage.put(uri, encode(table))


def read_table(
    uri: str, schema: pa.Schema, *, columns: Sequence[str] | None = None, mend: str
) -> pa.Table:
    """Read a stored table whose columns are known; others beside them are left alone.

    Args:
      columns: which of the schema's to read; all by default.
      mend: what to do where the table is not what it should be.

    Returns:
      The columns in the order asked for, with the metadata of the file.

    Raises:
      ConfigError: there is no such file.
      ShardError: it is damaged, or a column is missing, of another type, or without a value.
    """
    names = list(schema.names if columns is None else columns)
    try:
        with open_parquet(uri) as file:
            check_columns(file.schema_arrow, schema, names, uri)
            table = file.read(columns=names).select(names)
        for name in names:
            if not schema.field(name).nullable and table[name].null_count:
                raise ShardError(f"{uri} has a row without {name}")
    except ShardError as err:
        raise ShardError(f"{err}; {mend}") from err
    return table


def check_columns(found: pa.Schema, schema: pa.Schema, names: Sequence[str], uri: str) -> None:
    """Refuse a stored table in which a column is missing or of another type.

    Args:
      names: of the columns of `schema` that matter.

    Raises:
      ShardError: see above.
    """
    for name in names:
        # A name that is there twice has no index either.
        place, expected = found.get_field_index(name), schema.field(name)
        if place < 0:
            raise ShardError(f"{uri} has no column {name}")
        kind = found.field(place).type
        # A column without any value may have lost its type.
        is_empty = expected.nullable and pa.types.is_null(kind)
        if not kind.equals(expected.type) and not is_empty:
            raise ShardError(f"{uri} has the column {name} as {kind}, expected {expected.type}")


def table_digest(table: pa.Table) -> str:
    """Return the SHA-256 of a table's names, types and values, however it is stored."""
    state = hashlib.sha256()
    for name in table.column_names:
        column = table[name].combine_chunks()
        state.update(f"{name} {column.type} {len(column)}\n".encode())
        flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
        if pa.types.is_primitive(flat.type) and not (column.null_count or flat.null_count):
            values = flat.to_numpy(zero_copy_only=False)
            state.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
        else:
            state.update(json.dumps(column.to_pylist()).encode())
    return state.hexdigest()


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
        # Arrow's own buffer: pages are decoded in place, without the interpreter's lock.
        yield pa.BufferReader(pa.py_buffer(storage.read(uri, checksum=checksums)))
        return
    with storage.open_seekable(uri) as source:
        yield source


def _one_line(err: Exception) -> str:
    return " ".join(str(err).split())
