"""The end of a conversion: shards are joined, bytes accounted for, the manifest is written."""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa

from pipelines import storage
from pipelines.convert.commit.manifest import (
    Account,
    Manifest,
    account,
    join,
    load_manifest,
    make_manifest,
)
from pipelines.convert.commit.quarantine import first_quarantined
from pipelines.convert.commit.readme import NAME as README
from pipelines.convert.commit.readme import readme
from pipelines.convert.formats.tfrecord import Position, Span
from pipelines.convert.reading.archives import RecordStream
from pipelines.convert.reading.sources import GZIP, Source, fetcher, is_unchanged
from pipelines.convert.shards.plan import ByteRange, Plan, shard_uri
from pipelines.convert.shards.sequential_sources import read_summaries
from pipelines.convert.shards.shard import (
    QUARANTINE_SCHEMA,
    ShardSummary,
    convert_range,
    read_summary,
)
from pipelines.errors import DatasetError, PipelineError, ShardError
from pipelines.parameters import MAX_QUARANTINED
from pipelines.parquet import encode
from pipelines.text import listed

_READERS: Final = 16
_BLOCK_BYTES: Final = 8 * 2**20

log = logging.getLogger(__name__)


def commit(
    plan: Plan, *, max_quarantined: float = MAX_QUARANTINED, force: bool = False
) -> Manifest:
    """Commit the shards of a conversion, all of which are stored.

    Args:
      max_quarantined: share of damaged records above which nothing is committed.
      force: take the place of a manifest that is there.

    Raises:
      DatasetError: a source changed, holds no note, or too many of its records are damaged.
      ShardError: shards are missing or do not add up.
    """
    shards, accounts = list[ShardSummary](), list[Account]()
    for source, ranges in _by_source(plan):
        if source.is_stream:
            joined = read_summaries(ranges[0], folder=plan.folder)
        else:
            joined = _join(ranges, folder=plan.folder)
        shards += joined
        accounts.append(account(joined, size=_accounted_bytes(source, ranges, joined)))
    manifest = make_manifest(plan, shards, accounts)
    _store_spans(plan, accounts)
    _check_sources(plan)
    _check_every_source(manifest, plan, shards)
    _check_share(manifest, plan, shards, max_quarantined)
    return _store(manifest, plan, force=force)


def _by_source(plan: Plan) -> list[tuple[Source, list[ByteRange]]]:
    return [
        (source, [r for r in plan.ranges() if r.file == file])
        for file, source in enumerate(plan.sources)
    ]


def _accounted_bytes(
    source: Source, ranges: Sequence[ByteRange], shards: Sequence[ShardSummary]
) -> int:
    """Return the number of bytes to account for; for a stream the bytes that it held."""
    if source.form == GZIP:
        return shards[-1].end
    if source.is_stream:
        return sum(shard.record_bytes for shard in shards)
    return sum(byte_range.source_bytes for byte_range in ranges)


def _join(ranges: Sequence[ByteRange], *, folder: str) -> list[ShardSummary]:
    """Return the summaries of one source's shards; convert a range that started wrong again."""
    by_name = {byte_range.shard_name: byte_range for byte_range in ranges}

    def again(shard: ShardSummary, position: Position) -> ShardSummary:
        log.info("converting %s again from byte %d", shard.name, position.offset)
        return convert_range(by_name[shard.name], folder=folder, entry=position)

    with ThreadPoolExecutor(_READERS) as pool:
        stored = list(pool.map(read_summary, (shard_uri(folder, name) for name in by_name)))
    return join(stored, again=again)


def _store_spans(plan: Plan, accounts: Sequence[Account]) -> None:
    """Store the skipped spans in the quarantine, each with a digest of its bytes."""
    rows = [
        {
            "source_file": source.name,
            "offset": span.offset,
            "length": span.length,
            "reason": span.reason,
            "detail": "these bytes belong to no sound record",
            "sha256": sha256,
        }
        for source, found in zip(plan.sources, accounts, strict=True)
        for span, sha256 in zip(found.spans, _sha256s(source, found.spans), strict=True)
    ]
    if rows:
        table = pa.Table.from_pylist(rows, QUARANTINE_SCHEMA)
        storage.put(storage.join(plan.folder, "quarantine", "spans.parquet"), encode(table))


def _sha256s(source: Source, spans: Sequence[Span]) -> Iterator[str]:
    """Yield a digest of the bytes of each span, in a compressed file the decompressed bytes."""
    fetch = fetcher(source)
    if source.form == GZIP:
        fetch = RecordStream(source).read
    for span in spans:
        state = hashlib.sha256()
        for start in range(span.offset, span.end, _BLOCK_BYTES):
            state.update(fetch(start, min(start + _BLOCK_BYTES, span.end)))
        yield state.hexdigest()


def _check_sources(plan: Plan) -> None:
    for source in plan.sources:
        if not is_unchanged(source):
            raise DatasetError(f"{source.uri} changed while it was converted; convert it again")


def _check_every_source(manifest: Manifest, plan: Plan, shards: Sequence[ShardSummary]) -> None:
    """Check that each source holds a note, however small its share of the data set is.

    Raises:
      DatasetError: some do not.
    """
    with_notes = {shard.file for shard in shards if shard.num_notes}
    empty = [file for file in range(len(plan.sources)) if file not in with_notes]
    if not empty:
        return
    names = listed([plan.sources[file].uri for file in empty])
    reasons = _reasons(manifest, plan, [shard for shard in shards if shard.file in empty])
    advice = "expected a TFRecord file of NSynth, or its examples.json and wav files"
    if with_notes:
        advice = "name the other sources only, or put the right files in their place"
    raise DatasetError(f"no note was found in {names} ({reasons or 'nothing is in it'}); {advice}")


def _check_share(
    manifest: Manifest, plan: Plan, shards: Sequence[ShardSummary], max_quarantined: float
) -> None:
    # One span may have been many records: a hole in a download counts by its bytes.
    share = max(
        manifest.num_quarantined / (manifest.num_notes + manifest.num_quarantined),
        manifest.skipped_bytes / manifest.source_bytes,
    )
    if share > max_quarantined:
        names, num = listed([source.uri for source in plan.sources]), manifest.num_quarantined
        what = "record or span" if num == 1 else "records or spans"
        raise DatasetError(
            f"{num} {what} of {names} cannot become notes, {share:.1%} "
            f"where {max_quarantined:.1%} is allowed: {_reasons(manifest, plan, shards)}; "
            f"nsynth quarantine {plan.folder} lists them, --max-quarantined allows more"
        )


def _reasons(manifest: Manifest, plan: Plan, shards: Sequence[ShardSummary]) -> str:
    """Return the reasons for which records and spans of some sources are set aside, in words.

    Each comes with how many there are and what is wrong with the first of them.
    """
    names = {plan.sources[shard.file].name for shard in shards}
    spans = [span for span in manifest.spans if span.source_file in names]
    nums = Counter[str](span.reason for span in spans)
    for shard in shards:
        nums.update(shard.quarantined)
    texts = []
    for reason, num in sorted(nums.items()):
        shard_name = next((shard.name for shard in shards if reason in shard.quarantined), None)
        if shard_name is not None:
            row = first_quarantined(plan.folder, shard_name, reason)
            first, detail = (row["source_file"], row["offset"]), row["detail"]
        else:
            span = next(span for span in spans if span.reason == reason)
            first, detail = (span.source_file, span.offset), f"{span.length} bytes hold no record"
        texts.append(f"{reason} {num}, the first in {first[0]} at {first[1]}: {detail}")
    return "; ".join(texts)


def _store(manifest: Manifest, plan: Plan, *, force: bool) -> Manifest:
    uri, data = plan.manifest_uri, manifest.to_json().encode()
    # The manifest comes last, and a README is never beside a manifest with another digest.
    if not storage.exists(uri):
        storage.put(storage.join(plan.folder, README), readme(manifest).encode())
        if storage.create(uri, data):
            return manifest
    try:
        stored = load_manifest(uri)
    except PipelineError as err:
        if not force:
            raise
        log.warning("replacing a manifest that cannot be read: %s", err)
        stored = manifest
    if stored.manifest_digest != manifest.manifest_digest:
        raise ShardError(
            f"{uri} was committed with digest {stored.manifest_digest}, "
            f"this conversion found {manifest.manifest_digest}; convert into another root"
        )
    if force:
        storage.put(storage.join(plan.folder, README), readme(manifest).encode())
        storage.put(uri, data)
    return manifest if force else stored
