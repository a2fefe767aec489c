"""Records and spans that were set aside, and the verification of a committed data set."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import storage
from pipelines.convert.commit.manifest import (
    Account,
    Manifest,
    Shard,
    SkippedSpan,
    account,
    load_manifest,
)
from pipelines.convert.shards.shard import (
    QUARANTINE_SCHEMA,
    ShardSummary,
    check_shard,
    rows_digest,
)
from pipelines.errors import ConfigError, PipelineError, ShardError
from pipelines.parquet import check_columns, open_parquet, read_table
from pipelines.progress import OnProgress, Progress, ignore

FOLDER: Final = "quarantine"
SPANS: Final = "spans.parquet"

_BATCH_ROWS: Final = 4096

Row = Mapping[str, Any]


def stream_quarantined(dataset_uri: str) -> Iterator[Row]:
    """Yield the quarantine of a conversion, in the order of its sources and by offset in each.

    Holds some rows at a time, and the spans. Of a data set that is not committed, or whose manifest
    cannot be read, it yields everything stored so far.

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


def first_quarantined(dataset_uri: str, shard_name: str, reason: str) -> Row:
    """Return the first record of a shard's range that was set aside for a reason."""
    table = read_quarantine(storage.join(dataset_uri, FOLDER, shard_name))
    found: list[Row] = table.filter(pc.equal(table["reason"], reason)).slice(0, 1).to_pylist()
    return found[0]


def read_quarantine(uri: str) -> pa.Table:
    """Read the rows of one file, its pages and columns checked."""
    mend = "convert again with --force"
    return read_table(uri, QUARANTINE_SCHEMA, mend=mend).replace_schema_metadata(None)


def listed_files(manifest: Manifest) -> list[str]:
    """Return the names of the quarantine's files; others are of attempts that did not count."""
    names = [shard.name for shard in manifest.shards if shard.num_quarantined]
    return names + ([SPANS] if manifest.spans else [])


def _rows(uri: str) -> Iterator[Row]:
    with open_parquet(uri) as file:
        check_columns(file.schema_arrow, QUARANTINE_SCHEMA, QUARANTINE_SCHEMA.names, uri)
        for batch in file.iter_batches(_BATCH_ROWS):
            yield from batch.to_pylist()


_READERS: Final = 4


@dataclass(frozen=True)
class Verification:
    """The result of a second reading.

    Attributes:
      accounts: of the bytes of each source, by its name; only sources whose shards are all sound.
      problems: one sentence per problem.
    """

    manifest: Manifest
    accounts: dict[str, Account]
    problems: tuple[str, ...]


def verify(manifest_uri: str, *, on_progress: OnProgress = ignore) -> Verification:
    """Read every shard and every quarantine file of a data set, and check its sums.

    Raises:
      ConfigError: there is no manifest that this version reads.
      DatasetError: the manifest was changed after it was written.
    """
    manifest = load_manifest(manifest_uri)
    folder, name = storage.parent(manifest_uri), storage.name(storage.parent(manifest_uri))
    summaries: list[ShardSummary | None] = []
    problems: list[str] = []
    with ThreadPoolExecutor(_READERS) as pool:
        checked = pool.map(lambda shard: _check(folder, manifest, shard), manifest.shards)
        for num, (summary, wrong) in enumerate(checked, start=1):
            summaries.append(summary)
            problems += wrong
            on_progress(Progress(f"verify {name}", num, len(manifest.shards), "shards"))
    accounts = {}
    for file, source in enumerate(manifest.sources):
        own = [
            s for s, listed in zip(summaries, manifest.shards, strict=True) if listed.file == file
        ]
        if None in own:
            problems.append(
                f"the bytes of {source.name} cannot be accounted for without its shards"
            )
            continue
        try:
            accounts[source.name] = account([s for s in own if s], size=source.size)
        except ShardError as err:
            problems.append(str(err))
    if len(accounts) == len(manifest.sources):
        problems += _compare_spans(manifest, accounts)
        problems += _compare_reasons(manifest, [s for s in summaries if s])
    problems += _check_spans_file(folder, manifest)
    return Verification(manifest, accounts, tuple(problems))


def _check(folder: str, manifest: Manifest, listed: Shard) -> tuple[ShardSummary | None, list[str]]:
    """Check one shard and its quarantine; return no summary if it is not the committed shard."""
    uri = manifest.shard_uri(folder, listed)
    try:
        summary = check_shard(uri, num_samples=manifest.parameters.num_samples)
    except ConfigError:
        return None, [f"{uri} is missing"]
    except PipelineError as err:
        return None, [str(err)]
    found = (summary.num_notes, summary.end, summary.notes_digest, summary.samples_digest)
    if found != (listed.num_notes, listed.end, listed.notes_digest, listed.samples_digest):
        return None, [f"{uri} is not the shard that was committed: {found[0]} notes, other digests"]
    if summary.num_quarantined != listed.num_quarantined:
        return None, [f"{uri} does not say how many records were set aside"]
    return summary, _check_quarantine(folder, listed, summary) if listed.num_quarantined else []


def _check_quarantine(folder: str, listed: Shard, summary: ShardSummary) -> list[str]:
    uri = storage.join(folder, "quarantine", listed.name)
    try:
        rows = read_quarantine(uri)
    except PipelineError as err:
        return [str(err)]
    reasons = Counter(rows["reason"].to_pylist())
    if rows_digest(rows) != listed.quarantine_digest or reasons != summary.quarantined:
        return [f"{uri} does not hold what was set aside"]
    return []


def _compare_spans(manifest: Manifest, accounts: dict[str, Account]) -> list[str]:
    spans = tuple(
        SkippedSpan(name, *span) for name, found in accounts.items() for span in found.spans
    )
    record_bytes = sum(found.record_bytes for found in accounts.values())
    if (spans, record_bytes) == (manifest.spans, manifest.record_bytes):
        return []
    return ["the shards account for other spans and bytes than the manifest lists"]


def _compare_reasons(manifest: Manifest, summaries: Sequence[ShardSummary]) -> list[str]:
    found = Counter(span.reason for span in manifest.spans)
    for summary in summaries:
        found.update(summary.quarantined)
    if found == manifest.quarantined:
        return []
    return ["the shards set aside other records than the manifest counts by reason"]


def _check_spans_file(folder: str, manifest: Manifest) -> Sequence[str]:
    if not manifest.spans:
        return []
    uri = storage.join(folder, "quarantine", "spans.parquet")
    try:
        rows = read_quarantine(uri).select(["source_file", "offset", "length", "reason"])
    except PipelineError as err:
        return [str(err)]
    listed = [(span.source_file, span.offset, span.length, span.reason) for span in manifest.spans]
    if [tuple(row.values()) for row in rows.to_pylist()] != listed:
        return [f"{uri} does not list the spans of the manifest"]
    return []
