"""Verdicts: which notes are left out and why, stored beside the shards, which stay as they are."""

import json
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import pyarrow as pa

from pipelines import storage
from pipelines.convert.plan import digest
from pipelines.convert.shards import encode
from pipelines.dataset import Dataset, open_dataset
from pipelines.decisions import decided
from pipelines.errors import ConfigError, DatasetError
from pipelines.notes import FAMILIES
from pipelines.parquet import open_parquet
from pipelines.validate.official import compare_with_official
from pipelines.validate.rules import COLUMNS, RULES, RULES_VERSION, reasons

FORMAT_VERSION: Final = 1

MAX_DROPPED: Final = 0.05
"""The share of a data set's notes that may be left out, synth_lead apart, unless told otherwise."""

VERDICT_SCHEMA: Final = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("note_str", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("source_file", pa.string(), nullable=False),
        pa.field("source_offset", pa.int64(), nullable=False),
    ]
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Validation:
    """The verdicts on a data set, in figures.

    Attributes:
      uri: the folder that holds them.
      verdict_digest: of the rules and the data set.
      num_quarantined: records and spans that did not become notes; beside `num_seen`, not in it.
      dropped: reason to number of notes, in the order of the rules.
      families: notes kept, by family.
      official: a sentence on the official split that the file claims to be; may be empty.
    """

    manifest_uri: str
    manifest_digest: str
    verdict_digest: str
    uri: str
    num_seen: int
    num_kept: int
    num_quarantined: int
    dropped: dict[str, int]
    families: dict[str, int]
    official: str
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.num_seen != self.num_kept + sum(self.dropped.values()):
            raise DatasetError(
                f"{self.num_seen} notes seen, but {self.num_kept} kept and {self.dropped} dropped"
            )


def validate(manifest_uri: str, *, force: bool = False) -> Validation:
    """Gives each note of a data set its verdict and stores the verdicts; reuses stored ones.

    Args:
      force: judge again what is judged.
    """
    dataset = open_dataset(manifest_uri)
    manifest_digest = dataset.manifest.manifest_digest
    verdict_digest = digest([RULES_VERSION, list(RULES), manifest_digest])
    uri = storage.join(storage.parent(dataset.manifest_uri), "validation", verdict_digest[:16])
    summary_uri = storage.join(uri, "summary.json")
    names = ", ".join(source.name for source in dataset.manifest.sources)
    if not force and storage.exists(summary_uri):
        why = f"the notes and the rules are unchanged: {summary_uri} is there"
        decided(log, "validate", names, "reused", why)
        # A data set may have been moved since, with all that lies in its folder.
        stored = load_validation(summary_uri)
        return replace(stored, manifest_uri=dataset.manifest_uri, uri=uri)
    why = f"judging {dataset.manifest.num_notes:,} notes of {dataset.manifest_uri}"
    decided(log, "validate", names, "ran", f"{why}; asked to do so again" if force else why)
    notes = dataset.read([*COLUMNS, "source_file", "source_offset"])
    found = reasons(notes)
    verdicts = _verdicts(dataset, notes, found)
    counts = Counter(verdicts.column("reason").to_pylist())
    seen = notes.column("instrument_family_str").to_pylist()
    kept = Counter(f for f, reason in zip(seen, found, strict=True) if reason is None)
    validation = Validation(
        manifest_uri=dataset.manifest_uri,
        manifest_digest=manifest_digest,
        verdict_digest=verdict_digest,
        uri=uri,
        num_seen=notes.num_rows,
        num_kept=found.count(None),
        num_quarantined=dataset.manifest.num_quarantined,
        dropped={reason: counts[reason] for reason in RULES if counts[reason]},
        families={family: kept[family] for family in FAMILIES if kept[family]},
        official=compare_with_official(
            tuple(source.name for source in dataset.manifest.sources),
            num_records=notes.num_rows + dataset.manifest.num_quarantined,
            families=Counter(seen),
        ),
    )
    # The summary goes last: where it is, the verdicts are.
    storage.put(storage.join(uri, "verdicts.parquet"), encode(verdicts))
    storage.put(summary_uri, (json.dumps(asdict(validation), indent=1) + "\n").encode())
    return validation


def load_validation(summary_uri: str) -> Validation:
    """Reads a stored summary.

    Raises:
      ConfigError: it is of an unknown format.
    """
    content = json.loads(storage.read(summary_uri))
    if content.get("format_version") != FORMAT_VERSION:
        raise ConfigError(
            f"{summary_uri} has format {content.get('format_version')}, "
            f"this version reads {FORMAT_VERSION}; use the version that wrote it"
        )
    return Validation(**content)


def load_reasons(validation: Validation) -> list[str | None]:
    """The reason for which each note is left out, in order; None for one that is kept."""
    found: list[str | None] = [None] * validation.num_seen
    with open_parquet(storage.join(validation.uri, "verdicts.parquet")) as file:
        table = file.read(columns=["row", "reason"])
    for row, reason in zip(table["row"].to_pylist(), table["reason"].to_pylist(), strict=True):
        found[row] = reason
    return found


def check_dropped(validation: Validation, *, max_dropped: float = MAX_DROPPED) -> None:
    """Refuses a data set that lost more notes than a sound one would.

    Args:
      max_dropped: the share of notes that may be left out, synth_lead apart.

    Raises:
      DatasetError: more were left out, or all.
    """
    if not 0 <= max_dropped <= 1:
        raise ConfigError(f"max_dropped must be from 0 to 1, got {max_dropped}")
    table = ", ".join(f"{reason} {num}" for reason, num in validation.dropped.items())
    if validation.num_kept == 0:
        raise DatasetError(f"no note of {validation.manifest_uri} is left: {table}")
    defects = _without_synth_lead(validation.dropped)
    share = defects / validation.num_seen
    if share > max_dropped:
        raise DatasetError(
            f"{defects} of {validation.num_seen} notes of {validation.manifest_uri} are defective, "
            f"{share:.1%} where {max_dropped:.1%} is allowed: {table}; see {validation.uri}, "
            "or allow more with --max-dropped"
        )


def _without_synth_lead(dropped: Mapping[str, int]) -> int:
    return sum(num for reason, num in dropped.items() if reason != "synth_lead")


def _verdicts(dataset: Dataset, notes: pa.Table, found: list[str | None]) -> pa.Table:
    """One row a dropped note."""
    rows = [row for row, reason in enumerate(found) if reason is not None]
    shards = [shard.name for shard in dataset.manifest.shards for _ in range(shard.num_notes)]
    dropped = notes.select(["note_str", "source_file", "source_offset"]).take(
        pa.array(rows, pa.int64())
    )
    return pa.table(
        {
            "row": rows,
            "note_str": dropped["note_str"],
            "reason": [found[row] for row in rows],
            "shard": [shards[row] for row in rows],
            "source_file": dropped["source_file"],
            "source_offset": dropped["source_offset"],
        },
        schema=VERDICT_SCHEMA,
    )
