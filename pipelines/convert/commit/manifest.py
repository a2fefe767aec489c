"""The manifest of a data set, and the account of every byte of its sources.

Each byte belongs to one record or to one span. The truth is what a single reader finds that goes
through the file from its first byte. A range that was read on its own agrees with it, or starts at
the wrong record: a whole TFRecord may be inside another one's payload.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import ClassVar, Final

from pydantic import ConfigDict

from pipelines import storage
from pipelines.convert.formats.byte_stream import Fault
from pipelines.convert.formats.tfrecord import START, Position, Span
from pipelines.convert.reading.sources import Source
from pipelines.convert.shards.plan import Parameters, Plan, shard_uri
from pipelines.convert.shards.shard import ShardSummary
from pipelines.credentials import is_secret_location
from pipelines.errors import DatasetError, ShardError
from pipelines.notes import DATASET_VERSION
from pipelines.records import Count, Name, digest, read_record, sealed


@dataclass(frozen=True)
class Account:
    """A source's bytes.

    Attributes:
      record_bytes: of the records whose checksums hold.
      spans: the rest, in order; damage across a range's border is one span.
    """

    size: int
    record_bytes: int
    spans: tuple[Span, ...]

    @property
    def skipped_bytes(self) -> int:
        """Return the number of bytes in all spans."""
        return sum(span.length for span in self.spans)


def follows(position: Position, shard: ShardSummary) -> bool:
    """Return whether the range was read as a reader at `position` would have read it."""
    if shard.entry == position:
        return True
    if shard.entry.synced or not position.synced:
        return False
    if position.offset >= shard.end:
        return shard.first_header is None
    return shard.first_header == position.offset


def leave(position: Position, shard: ShardSummary) -> Position:
    """Return the position after the range of a reader that came to it at `position`."""
    if position.synced and position.offset >= shard.end:
        return position
    return shard.exit


def join(
    shards: Iterable[ShardSummary], *, again: Callable[[ShardSummary, Position], ShardSummary]
) -> list[ShardSummary]:
    """Join the ranges of one source as a single reader would read them.

    Args:
      shards: of all ranges in order, each read on its own.
      again: reads the range of a shard again, from where the reader comes to it.
    """
    joined, position = list[ShardSummary](), START
    for shard in shards:
        joined.append(shard if follows(position, shard) else again(shard, position))
        position = leave(position, joined[-1])
    return joined


def account(shards: Sequence[ShardSummary], *, size: int) -> Account:
    """Account for the bytes of the ranges of one source.

    Args:
      shards: of all its ranges in order, each following the one before.
      size: bytes of the source.

    Raises:
      ShardError: the ranges leave a gap, overlap, or do not add up to the source.
    """
    position, spans, next_begin = START, list[Span](), 0
    for shard in shards:
        if shard.begin != next_begin or not follows(position, shard):
            raise ShardError(
                f"shard {shard.name} begins at byte {shard.begin} and follows "
                f"{shard.entry}, expected byte {next_begin} and {position}"
            )
        if not position.synced:
            stop = shard.end if shard.first_header is None else shard.first_header
            spans[-1] = spans[-1]._replace(length=stop - spans[-1].offset)
        spans.extend(shard.spans)
        position, next_begin = leave(position, shard), shard.end
    if shards and shards[-1].fault:
        spans = _blamed(spans, shards[-1].fault)
    found = Account(size, sum(shard.record_bytes for shard in shards), tuple(spans))
    if position.offset != next_begin or found.record_bytes + found.skipped_bytes != size:
        raise ShardError(
            f"{found.record_bytes} bytes in records and {found.skipped_bytes} skipped do not make "
            f"the {size} bytes of the source; convert again with --force"
        )
    return found


def _blamed(spans: Sequence[Span], fault: Fault) -> list[Span]:
    """Return the spans with the reason for the one in which the stream broke off.

    Where it broke off between two records, and nothing of it is left, an empty span says so.
    """
    at = [i for i, span in enumerate(spans) if span.offset <= fault.offset <= span.end]
    if not at:
        return [*spans, Span(fault.offset, 0, fault.reason)]
    return [*spans[: at[-1]], spans[at[-1]]._replace(reason=fault.reason), *spans[at[-1] + 1 :]]


# 2 adds the seal.
FORMAT_VERSION: Final = 2

_READABLE: Final = (1, FORMAT_VERSION)
_AGAIN: Final = "convert again with --force"


@dataclass(frozen=True)
class Shard:
    """One shard as the manifest lists it.

    Attributes:
      begin: first byte of the source that it covers.
      end: the byte after the last.
    """

    name: Name
    file: Count
    begin: Count
    end: Count
    num_notes: Count
    num_quarantined: Count
    notes_digest: str
    quarantine_digest: str
    samples_digest: str


@dataclass(frozen=True)
class SkippedSpan:
    """Bytes of a source that belong to no sound record."""

    source_file: str
    offset: Count
    length: Count
    reason: str


@dataclass(frozen=True)
class Manifest:
    """A committed data set.

    Attributes:
      num_quarantined: valid records that cannot become notes, and skipped spans.
      quarantined: the same by reason.
      record_bytes: bytes of the records whose checksums hold; with `skipped_bytes` it makes
        `source_bytes`.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    dataset_id: Name
    manifest_digest: Name
    samples_digest: Name
    num_notes: Count
    num_quarantined: Count
    quarantined: dict[str, Count]
    source_bytes: Count
    record_bytes: Count
    skipped_bytes: Count
    sources: tuple[Source, ...]
    parameters: Parameters
    shards: tuple[Shard, ...]
    spans: tuple[SkippedSpan, ...]
    dataset_version: int = DATASET_VERSION
    format_version: int = FORMAT_VERSION

    def shard_uri(self, folder: str, shard: Shard) -> str:
        """Return the location of a shard of this data set, which is stored in `folder`."""
        if self.dataset_version == 1:
            return storage.join(folder, shard.name)
        return shard_uri(folder, shard.name)

    def to_json(self) -> str:
        """Return the text of manifest.json."""
        content = asdict(self)
        return sealed(content, format_version=content.pop("format_version")).decode()


def make_manifest(
    plan: Plan, shards: Sequence[ShardSummary], accounts: Sequence[Account]
) -> Manifest:
    """Build the manifest from the shards and the accounts of the sources."""
    spans = tuple(
        SkippedSpan(source.name, *span)
        for source, account in zip(plan.sources, accounts, strict=True)
        for span in account.spans
    )
    quarantined: dict[str, int] = {}
    for reason, num in [
        *(item for shard in shards for item in shard.quarantined.items()),
        *((span.reason, 1) for span in spans),
    ]:
        quarantined[reason] = quarantined.get(reason, 0) + num
    manifest = Manifest(
        dataset_id=plan.dataset_id,
        manifest_digest="",
        samples_digest=digest([shard.samples_digest for shard in shards]),
        num_notes=sum(shard.num_notes for shard in shards),
        num_quarantined=sum(quarantined.values()),
        quarantined=dict(sorted(quarantined.items())),
        source_bytes=sum(account.size for account in accounts),
        record_bytes=sum(account.record_bytes for account in accounts),
        skipped_bytes=sum(account.skipped_bytes for account in accounts),
        sources=tuple(
            replace(source, size=account.size)
            for source, account in zip(plan.sources, accounts, strict=True)
        ),
        parameters=plan.parameters,
        shards=tuple(_listed(shard) for shard in shards),
        spans=spans,
    )
    return replace(manifest, manifest_digest=_digest(manifest))


def load_manifest(uri: str) -> Manifest:
    """Read a manifest, and check that its counts and digests belong together.

    Raises:
      ConfigError: there is none.
      DatasetError: it is damaged, was changed, or is of a format that this version does not read.
    """
    manifest = read_record(
        uri,
        Manifest,
        what="a manifest",
        mend=f"name the manifest.json of a data set, or {_AGAIN}",
        versions=_READABLE,
    )
    if any(is_secret_location(source.uri) for source in manifest.sources):
        raise DatasetError(
            f"{uri} names a source whose location holds credentials, which no conversion stores; "
            "convert again from a location without them"
        )
    if manifest.manifest_digest != _digest(manifest) or not _adds_up(manifest):
        raise DatasetError(f"{uri} was changed after it was written; {_AGAIN}")
    return manifest


def _adds_up(manifest: Manifest) -> bool:
    """Return whether the totals are those of the shards, the spans and the sources."""
    shards, spans = manifest.shards, manifest.spans
    return (
        manifest.num_notes == sum(shard.num_notes for shard in shards)
        and manifest.num_quarantined == sum(shard.num_quarantined for shard in shards) + len(spans)
        and manifest.num_quarantined == sum(manifest.quarantined.values())
        and manifest.skipped_bytes == sum(span.length for span in spans)
        and manifest.source_bytes == manifest.record_bytes + manifest.skipped_bytes
        and manifest.source_bytes == sum(source.size for source in manifest.sources)
        and manifest.samples_digest == digest([shard.samples_digest for shard in shards])
    )


def _listed(shard: ShardSummary) -> Shard:
    return Shard(
        name=shard.name,
        file=shard.file,
        begin=shard.begin,
        end=shard.end,
        num_notes=shard.num_notes,
        num_quarantined=shard.num_quarantined,
        notes_digest=shard.notes_digest,
        quarantine_digest=shard.quarantine_digest,
        samples_digest=shard.samples_digest,
    )


def _digest(manifest: Manifest) -> str:
    # Neither the place of a source nor the samples: one depends on the machine, the other on the
    # platform's arithmetic.
    return digest(
        {
            "dataset_version": manifest.dataset_version,
            "parameters": asdict(manifest.parameters),
            "sources": [[source.name, source.size] for source in manifest.sources],
            "shards": [
                [
                    *(shard.name, shard.begin, shard.end, shard.num_notes),
                    *(shard.notes_digest, shard.quarantine_digest),
                ]
                for shard in manifest.shards
            ],
            "spans": [list(asdict(span).values()) for span in manifest.spans],
        }
    )
