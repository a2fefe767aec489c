"""What was set aside: sound records that cannot become notes, and spans that are no record."""

from collections.abc import Iterator, Mapping
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from pipelines.convert.manifest import Manifest, load_manifest
from pipelines.convert.shards import QUARANTINE_SCHEMA
from pipelines.errors import PipelineError
from pipelines.parquet import check_columns, open_parquet, read_table

FOLDER: Final = "quarantine"
SPANS: Final = "spans.parquet"

_BATCH_ROWS: Final = 4096

Row = Mapping[str, Any]


def list_quarantined(manifest_uri: str) -> pa.Table:
    """All that a conversion set aside, by file and offset.

    Raises:
      ConfigError: there is no manifest, or a file that it needs is missing.
      ShardError: a file is damaged.
    """
    manifest = load_manifest(manifest_uri)
    folder = storage.join(storage.parent(manifest_uri), FOLDER)
    tables = [read_quarantine(storage.join(folder, name)) for name in listed_files(manifest)]
    rows = pa.concat_tables([QUARANTINE_SCHEMA.empty_table(), *tables])
    return rows.sort_by([("source_file", "ascending"), ("offset", "ascending")])


def stream_quarantined(dataset_uri: str) -> Iterator[Row]:
    """Yield what a conversion set aside, in the order of its sources and by offset in each.

    Holds some rows at a time, and the spans. Of a data set that is not committed, or whose manifest
    cannot be read, it yields what is stored by now.

    Args:
      dataset_uri: the folder of a data set.

    Raises:
      ConfigError: a file that the manifest needs is missing.
      ShardError: a file is damaged.
    """
    try:
        names = listed_files(load_manifest(storage.join(dataset_uri, "manifest.json")))
    except PipelineError:
        names = sorted(storage.sizes(storage.join(dataset_uri, FOLDER)))
    folder = storage.join(dataset_uri, FOLDER)
    spans: dict[str, list[Row]] = {}
    if SPANS in names:
        for row in _rows(storage.join(folder, SPANS)):
            spans.setdefault(row["source_file"], []).append(row)
    shards = [storage.join(folder, name) for name in names if name != SPANS]
    records = (row for uri in shards for row in _rows(uri))
    for source, rows in groupby(records, key=itemgetter("source_file")):
        yield from merge(rows, spans.pop(source, []), key=itemgetter("offset"))
    for rest in spans.values():
        yield from rest


def first_of_reason(dataset_uri: str, shard_name: str, reason: str) -> Row:
    """Return the first record of a shard's range that was set aside for a reason."""
    table = read_quarantine(storage.join(dataset_uri, FOLDER, shard_name))
    found: list[Row] = table.filter(pc.equal(table["reason"], reason)).slice(0, 1).to_pylist()
    return found[0]


def read_quarantine(uri: str) -> pa.Table:
    """Read the rows of one file, its pages and columns checked."""
    mend = "convert again with --force"
    return read_table(uri, QUARANTINE_SCHEMA, mend=mend).replace_schema_metadata(None)


def listed_files(manifest: Manifest) -> list[str]:
    """The quarantine's files; others beside them are of attempts that did not count."""
    names = [shard.name for shard in manifest.shards if shard.num_quarantined]
    return names + ([SPANS] if manifest.spans else [])


def _rows(uri: str) -> Iterator[Row]:
    with open_parquet(uri) as file:
        check_columns(file.schema_arrow, QUARANTINE_SCHEMA, QUARANTINE_SCHEMA.names, uri)
        for batch in file.iter_batches(_BATCH_ROWS):
            yield from batch.to_pylist()
