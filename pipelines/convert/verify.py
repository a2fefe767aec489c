"""A committed data set read again, whole, and held against its manifest."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from pipelines import storage
from pipelines.convert.accounting import Account, account
from pipelines.convert.manifest import Manifest, Shard, SkippedSpan, load_manifest
from pipelines.convert.quarantine import read_quarantine
from pipelines.convert.shards import ShardSummary, check_shard, rows_digest
from pipelines.errors import ConfigError, PipelineError, ShardError
from pipelines.progress import OnProgress, Progress, ignore

_READERS: Final = 4


@dataclass(frozen=True)
class Verification:
    """What a second reading found.

    Attributes:
      accounts: of the bytes of each source, by its name; only sources whose shards are all sound.
      problems: what is wrong, a sentence each.
    """

    manifest: Manifest
    accounts: dict[str, Account]
    problems: tuple[str, ...]


def verify(manifest_uri: str, *, on_progress: OnProgress = ignore) -> Verification:
    """Reads every shard and every quarantine file of a data set, and does its sums again.

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
    """One shard and its quarantine; the summary only where the shard is what was committed."""
    uri = manifest.shard_uri(folder, listed)
    try:
        summary = check_shard(uri)
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
