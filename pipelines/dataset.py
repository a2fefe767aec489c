"""A committed data set, opened by its manifest: columns and samples of its notes."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.commit.manifest import Manifest, Shard, load_manifest
from pipelines.convert.shards.shard import rows_digest, summary_of
from pipelines.errors import ConfigError, ShardError
from pipelines.note_schema import SCALAR_COLUMNS, schema
from pipelines.parquet import check_columns, open_parquet, reread, table_digest
from pipelines.text import listed

_READERS: Final = 8
# More threads than processors wait for a store, and would only take turns at decoding.
_DECODERS: Final = BoundedSemaphore(os.cpu_count() or 1)

# Digests of the columns of shards that this process has compared with their manifest.
_PROVEN: Final[dict[tuple[str, str], dict[str, str]]] = {}

# Their last bit may differ between platforms, so that they are not part of a digest.
_ARITHMETIC: Final = ("peak", "rms")

# Decoded at a time: 2 MB of samples fit in a processor's cache, with what decoding needs.
_BATCH_SAMPLES: Final = 64 * 8_000


@dataclass(frozen=True)
class Dataset:
    """A committed data set; notes are numbered in the order of the manifest's shards."""

    manifest_uri: str
    manifest: Manifest

    @property
    def num_samples(self) -> int:
        """Return the number of samples per note."""
        return self.manifest.parameters.num_samples

    @property
    def schema(self) -> pa.Schema:
        """Return the schema of its shards."""
        return schema(self.num_samples)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Read columns of all notes, in order.

        Raises:
          ShardError: a shard is missing, damaged, or not the one that was committed.
        """
        with ThreadPoolExecutor(_READERS) as pool:
            tables = list(
                pool.map(lambda shard: self._read_proven(shard, columns), self.manifest.shards)
            )
        return pa.concat_tables([self.schema.empty_table().select(list(columns)), *tables])

    def take(self, columns: Sequence[str], rows: Sequence[int]) -> pa.Table:
        """Read columns of some notes; open only the shards that hold them.

        Args:
          rows: numbers of the notes, ascending.
        """
        found, first = [self.schema.empty_table().select(list(columns))], 0
        for shard in self.manifest.shards:
            inside = [row - first for row in rows if first <= row < first + shard.num_notes]
            if inside:
                found.append(self._read_shard(shard, columns).take(inside))
            first += shard.num_notes
        return pa.concat_tables(found)

    def iter_audio(self) -> Iterator[NDArray[np.float32]]:
        """Yield the samples of all notes, in order.

        Yields:
          float32 [some notes, num_samples].
        """
        for shard in self.manifest.shards:
            yield from self.shard_audio(shard)

    def shard_audio(self, shard: Shard, *, checksums: bool = True) -> Iterator[NDArray[np.float32]]:
        """Yield the samples of the notes of one shard, in order.

        Args:
          checksums: whether pages are checked; the caller may check all samples by digest instead.

        Yields:
          float32 [some notes, num_samples].
        """
        with self._open(shard, whole=True, checksums=checksums) as file:
            # The levels of a nested column take several bytes a sample while they are decoded.
            num_notes = max(1, _BATCH_SAMPLES // self.num_samples)
            batches = file.iter_batches(num_notes, columns=["audio"], use_threads=False)
            while (batch := _decoded(batches)) is not None:
                yield _samples(pa.Table.from_batches([batch]))

    def shard_uri(self, shard: Shard) -> str:
        """Return the location of a shard."""
        return self.manifest.shard_uri(storage.parent(self.manifest_uri), shard)

    def audio(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Read the samples of some notes.

        Args:
          rows: numbers of the notes, in any order.

        Returns:
          float32 [len(rows), num_samples].
        """
        wanted = np.asarray(rows, np.int64)
        audio = np.empty((len(wanted), self.num_samples), np.float32)
        first = 0
        for shard in self.manifest.shards:
            inside = (wanted >= first) & (wanted < first + shard.num_notes)
            if inside.any():
                audio[inside] = self._read_rows(shard, wanted[inside] - first)
            first += shard.num_notes
        if (wanted < 0).any() or (wanted >= first).any():
            wrong = wanted[(wanted < 0) | (wanted >= first)]
            raise IndexError(f"rows must be from 0 to {first - 1}, got {listed(map(str, wrong))}")
        return audio

    def _read_shard(self, shard: Shard, columns: Sequence[str]) -> pa.Table:
        def read() -> pa.Table:
            with self._open(shard, whole="audio" in columns) as file:
                return file.read(columns=list(columns)).replace_schema_metadata(None)

        return reread(self.shard_uri(shard), read)

    def _read_rows(self, shard: Shard, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        def read() -> NDArray[np.float32]:
            with self._open(shard) as file:
                return _rows(file, rows, self.num_samples)

        return reread(self.shard_uri(shard), read)

    def _read_proven(self, shard: Shard, columns: Sequence[str]) -> pa.Table:
        """Return columns of a shard after checking that they are those that were committed.

        The digest in the manifest is of whole rows and is slow. A process computes it once per
        shard, and then checks what it reads against a quick digest of each column.

        Raises:
          ShardError: the rows are others than those that were committed.
        """
        return reread(self.shard_uri(shard), lambda: self._prove(shard, columns))

    def _prove(self, shard: Shard, columns: Sequence[str]) -> pa.Table:
        uri = self.shard_uri(shard)
        known = _PROVEN.get((uri, shard.notes_digest), {})
        names = columns if known else dict.fromkeys([*SCALAR_COLUMNS, *columns])
        with self._open(shard, whole="audio" in columns) as file:
            table = file.read(columns=list(names)).replace_schema_metadata(None)
            if known and not _digests(table).items() <= known.items():
                # The file was replaced since, by the same notes or by others.
                names = dict.fromkeys([*SCALAR_COLUMNS, *columns])
                table = file.read(columns=list(names)).replace_schema_metadata(None)
                known = {}
            if not known:
                rows = table.select([name for name in SCALAR_COLUMNS if name not in _ARITHMETIC])
                if rows_digest(rows) != shard.notes_digest:
                    raise ShardError(f"{uri} holds other notes than were committed")
                _PROVEN[uri, shard.notes_digest] = _digests(table)
        return table.select(list(columns))

    @contextmanager
    def _open(
        self, shard: Shard, *, whole: bool = False, checksums: bool = True
    ) -> Iterator[pq.ParquetFile]:
        uri = self.shard_uri(shard)
        try:
            with open_parquet(uri, whole=whole, checksums=checksums) as file:
                check_columns(file.schema_arrow, self.schema, self.schema.names, uri)
                found = (summary_of(file, uri).notes_digest, file.metadata.num_rows)
                if found != (shard.notes_digest, shard.num_notes):
                    raise ShardError(f"{uri} is not the shard that was committed")
                yield file
        except ShardError as err:
            raise ShardError(f"{err}; convert again with --force") from err
        except ConfigError as err:
            if storage.exists(uri):
                raise
            raise ShardError(
                f"{uri} is missing, which the manifest lists; convert again with --force"
            ) from err


def open_dataset(manifest_uri: str) -> Dataset:
    """Open a data set by the URI of its manifest.json.

    Raises:
      ConfigError: there is no manifest that this version reads.
    """
    manifest_uri = storage.absolute(manifest_uri)
    return Dataset(manifest_uri, load_manifest(manifest_uri))


def _digests(table: pa.Table) -> dict[str, str]:
    """Return a digest of each scalar column."""
    return {
        name: table_digest(table.select([name]))
        for name in table.column_names
        if name in SCALAR_COLUMNS
    }


def _rows(file: pq.ParquetFile, rows: NDArray[np.int64], num_samples: int) -> NDArray[np.float32]:
    """Read samples of rows of one shard, only from the row groups that hold them."""
    audio = np.empty((len(rows), num_samples), np.float32)
    first = 0
    for group in range(file.num_row_groups):
        num = file.metadata.row_group(group).num_rows
        inside = (rows >= first) & (rows < first + num)
        if inside.any():
            audio[inside] = _samples(file.read_row_group(group, columns=["audio"]))[
                rows[inside] - first
            ]
        first += num
    return audio


def _decoded(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    """Return the next batch; None after the last."""
    with _DECODERS:
        return next(batches, None)


def _samples(table: pa.Table) -> NDArray[np.float32]:
    column = table.column("audio")
    # Combining would copy a single chunk too.
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    flat = array.flatten()
    return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(-1, array.type.list_size)
