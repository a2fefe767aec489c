"""What was set aside: sound records that cannot become notes, and spans that are no record."""

from typing import Final

import pyarrow as pa

from pipelines import storage
from pipelines.convert.manifest import Manifest, load_manifest
from pipelines.convert.shards import QUARANTINE_SCHEMA
from pipelines.parquet import read_table

SPANS: Final = "spans.parquet"


def list_quarantined(manifest_uri: str) -> pa.Table:
    """All that a conversion set aside, by file and offset.

    Raises:
      ConfigError: there is no manifest, or a file that it needs is missing.
      ShardError: a file is damaged.
    """
    manifest = load_manifest(manifest_uri)
    folder = storage.join(storage.parent(manifest_uri), "quarantine")
    tables = [read_quarantine(storage.join(folder, name)) for name in listed_files(manifest)]
    rows = pa.concat_tables([QUARANTINE_SCHEMA.empty_table(), *tables])
    return rows.sort_by([("source_file", "ascending"), ("offset", "ascending")])


def read_quarantine(uri: str) -> pa.Table:
    """Read the rows of one file, its pages and columns checked."""
    mend = "convert again with --force"
    return read_table(uri, QUARANTINE_SCHEMA, mend=mend).replace_schema_metadata(None)


def listed_files(manifest: Manifest) -> list[str]:
    """The quarantine's files; others beside them are of attempts that did not count."""
    names = [shard.name for shard in manifest.shards if shard.num_quarantined]
    return names + ([SPANS] if manifest.spans else [])
