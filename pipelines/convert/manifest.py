"""The manifest: written last, and the only way readers find shards.

Two digests say what a data set is, of values and never of file bytes. `manifest_digest` is of what
was read, the same on every engine, root and machine; `samples_digest` is of the stored samples, the
same on every engine of one platform. The seal of the file is of all of it, the sources' places
included.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import ClassVar, Final

from pydantic import ConfigDict

from pipelines import storage
from pipelines.convert.accounting import Account
from pipelines.convert.plan import Parameters, Plan, shard_uri
from pipelines.convert.shards import ShardSummary
from pipelines.convert.sources import Source
from pipelines.credentials import is_secret_location
from pipelines.errors import DatasetError
from pipelines.notes import DATASET_VERSION
from pipelines.records import Count, Name, digest, read_record, sealed

FORMAT_VERSION: Final = 2
"""2 adds the seal."""

_READABLE: Final = (1, FORMAT_VERSION)
_AGAIN: Final = "convert again with --force"


@dataclass(frozen=True)
class Shard:
    """One shard as the manifest lists it.

    Attributes:
      begin: first byte of the source that it covers.
      end: the byte behind the last.
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
      num_quarantined: sound records that cannot become notes, and skipped spans.
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
    """Puts together what the shards and the accounts of the sources say."""
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
