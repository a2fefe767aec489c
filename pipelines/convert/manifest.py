"""The manifest: written last, and the only way readers find shards.

Two digests say what a data set is, of values and never of file bytes. `manifest_digest` is of what
was read, the same on every engine, root and machine; `samples_digest` is of the stored samples, the
same on every engine of one platform.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from pipelines import storage
from pipelines.convert.accounting import Account
from pipelines.convert.plan import Parameters, Plan, digest
from pipelines.convert.shards import ShardSummary
from pipelines.convert.sources import Source
from pipelines.credentials import is_secret_location
from pipelines.errors import ConfigError, DatasetError
from pipelines.notes import DATASET_VERSION

FORMAT_VERSION: Final = 1


@dataclass(frozen=True)
class Shard:
    """One shard as the manifest lists it.

    Attributes:
      begin: first byte of the source that it covers.
      end: the byte behind the last.
    """

    name: str
    file: int
    begin: int
    end: int
    num_notes: int
    num_quarantined: int
    notes_digest: str
    quarantine_digest: str
    samples_digest: str


@dataclass(frozen=True)
class SkippedSpan:
    """Bytes of a source that belong to no sound record."""

    source_file: str
    offset: int
    length: int
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

    dataset_id: str
    manifest_digest: str
    samples_digest: str
    num_notes: int
    num_quarantined: int
    quarantined: dict[str, int]
    source_bytes: int
    record_bytes: int
    skipped_bytes: int
    sources: tuple[Source, ...]
    parameters: Parameters
    shards: tuple[Shard, ...]
    spans: tuple[SkippedSpan, ...]
    dataset_version: int = DATASET_VERSION
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """The text of manifest.json."""
        return json.dumps(asdict(self), indent=1) + "\n"


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
    """Reads a manifest.

    Raises:
      ConfigError: there is none, or it is of an unknown format.
      DatasetError: it was changed, or a source in it holds credentials.
    """
    data = storage.read(uri)
    try:
        manifest = _parse(data, uri)
    except (ValueError, KeyError, TypeError) as err:
        raise ConfigError(f"{uri} is no manifest; name the manifest.json of a data set") from err
    if any(is_secret_location(source.uri) for source in manifest.sources):
        raise DatasetError(
            f"{uri} names a source whose location holds credentials, which no conversion stores; "
            "convert again from a location without them"
        )
    if manifest.manifest_digest != _digest(manifest):
        raise DatasetError(f"{uri} was changed after it was written; convert again with --force")
    return manifest


def _parse(data: bytes, uri: str) -> Manifest:
    content: dict[str, Any] = json.loads(data)
    version = content["format_version"]
    if version != FORMAT_VERSION:
        raise ConfigError(
            f"{uri} has manifest format {version}, this version reads {FORMAT_VERSION}; "
            "convert again or use the version that wrote it"
        )
    return Manifest(
        **content
        | {
            "sources": tuple(Source(**source) for source in content["sources"]),
            "parameters": Parameters(**content["parameters"]),
            "shards": tuple(Shard(**shard) for shard in content["shards"]),
            "spans": tuple(SkippedSpan(**span) for span in content["spans"]),
        }
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
