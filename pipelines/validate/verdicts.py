"""Verdicts: which notes are dropped and why, stored beside the shards, which stay as they are."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import pyarrow as pa

from pipelines import storage
from pipelines.dataset import Dataset, open_dataset
from pipelines.decisions import record_decision
from pipelines.errors import ConfigError, DatasetError, FormatError, PipelineError
from pipelines.layout import SUMMARY, VALIDATION_FOLDER, VERDICTS
from pipelines.notes import FAMILIES, named_split
from pipelines.parameters import MAX_DROPPED
from pipelines.parquet import read_table, table_digest, write_table
from pipelines.records import Count, Name, Place, digest, read_record, sealed
from pipelines.text import listed
from pipelines.validate.rules import (
    COLUMNS,
    HELD_OUT,
    LEAKED,
    RULES,
    RULES_VERSION,
    find_reasons,
    is_defect,
)

# 2 adds the seal and the digest of the verdicts.
FORMAT_VERSION: Final = 2

_READABLE: Final = (1, FORMAT_VERSION)
_AGAIN: Final = "validate the data set again"


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
    """A summary of the verdicts on a data set.

    Attributes:
      uri: folder that holds them.
      verdict_digest: digest of the rules and the data set.
      num_quarantined: records and spans that did not become notes; not part of `num_seen`.
      dropped: reason to number of notes, in the order of the rules.
      families: notes kept, by family.
      official: a sentence on the official split that the file name claims; may be empty.
      verdicts_digest: digest of the table of verdicts; None in a summary of format 1.
    """

    manifest_uri: Place
    manifest_digest: Name
    verdict_digest: Name
    uri: Place
    num_seen: Count
    num_kept: Count
    num_quarantined: Count
    dropped: dict[str, Count]
    families: dict[str, Count]
    official: str
    verdicts_digest: str | None = None
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.num_seen != self.num_kept + sum(self.dropped.values()):
            raise DatasetError(
                f"{self.num_seen} notes seen, but {self.num_kept} kept and {self.dropped} dropped"
            )


def validate(manifest_uri: str, *, force: bool = False) -> Validation:
    """Judge each note of a data set and store the verdicts; reuse stored ones.

    Args:
      force: judge again even if verdicts are stored.
    """
    dataset = open_dataset(manifest_uri)
    manifest_digest = dataset.manifest.manifest_digest
    verdict_digest = _digest_of_rules(manifest_digest)
    uri = storage.join(storage.parent(dataset.manifest_uri), VALIDATION_FOLDER, verdict_digest[:16])
    summary_uri = storage.join(uri, SUMMARY)
    names = listed(source.name for source in dataset.manifest.sources)
    if not force and (stored := _stored(summary_uri, dataset, verdict_digest)):
        why = f"the notes and the rules are unchanged: {summary_uri} is there"
        record_decision(log, "validate", names, "reused", why)
        return stored
    why = f"judging {dataset.manifest.num_notes:,} notes of {dataset.manifest_uri}"
    record_decision(log, "validate", names, "ran", f"{why}; asked to do so again" if force else why)
    validation, verdicts = judge(dataset, uri)
    # The summary goes last: where it is, the verdicts are.
    write_table(storage.join(uri, VERDICTS), verdicts)
    content = asdict(validation)
    data = sealed(content, format_version=content.pop("format_version"))
    storage.put(summary_uri, data)
    return validation


def judge(dataset: Dataset, uri: str) -> tuple[Validation, pa.Table]:
    """Return the verdicts on the notes of a data set, as a summary and as a table; store nothing.

    Args:
      uri: folder of the verdicts.
    """
    manifest_digest = dataset.manifest.manifest_digest
    notes = dataset.read([*COLUMNS, "source_file", "source_offset"])
    reasons = find_reasons(notes)
    verdicts = _verdicts(dataset, notes, reasons)
    counts = Counter(verdicts.column("reason").to_pylist())
    seen = notes.column("instrument_family_str").to_pylist()
    kept = Counter(f for f, reason in zip(seen, reasons, strict=True) if reason is None)
    validation = Validation(
        manifest_uri=dataset.manifest_uri,
        manifest_digest=manifest_digest,
        verdict_digest=_digest_of_rules(manifest_digest),
        uri=uri,
        num_seen=notes.num_rows,
        num_kept=reasons.count(None),
        num_quarantined=dataset.manifest.num_quarantined,
        dropped={reason: counts[reason] for reason in RULES if counts[reason]},
        families={family: kept[family] for family in FAMILIES if kept[family]},
        official=compare_with_official(
            tuple(source.name for source in dataset.manifest.sources),
            num_records=notes.num_rows + dataset.manifest.num_quarantined,
            families=Counter(seen),
        ),
        verdicts_digest=table_digest(verdicts),
    )
    return validation, verdicts


def _digest_of_rules(manifest_digest: str) -> str:
    """Return the digest of the rules and the data set, which names the verdicts."""
    return digest([RULES_VERSION, list(RULES), manifest_digest])


def _stored(summary_uri: str, dataset: Dataset, verdict_digest: str) -> Validation | None:
    """Return the stored verdicts; None unless they are complete and of this data set."""
    if not storage.exists(summary_uri):
        return None
    try:
        # A data set may have been moved since, with its whole folder.
        stored = replace(
            load_validation(summary_uri),
            manifest_uri=dataset.manifest_uri,
            uri=storage.parent(summary_uri),
        )
        load_verdicts(stored)
    except FormatError:
        raise
    except PipelineError as err:
        log.warning("judging again: %s", err)
        return None
    found = (stored.manifest_digest, stored.verdict_digest, stored.num_seen, stored.num_quarantined)
    manifest = dataset.manifest
    expected = (
        *(manifest.manifest_digest, verdict_digest),
        *(manifest.num_notes, manifest.num_quarantined),
    )
    if found != expected or sum(stored.families.values()) != stored.num_kept:
        log.warning("judging again: %s is not of this data set", summary_uri)
        return None
    return stored


def open_validated(validation: Validation) -> Dataset:
    """Open the data set that was validated.

    Raises:
      ConfigError: it is gone.
      DatasetError: another one is in its place.
    """
    dataset = open_dataset(validation.manifest_uri)
    if dataset.manifest.manifest_digest != validation.manifest_digest:
        raise DatasetError(
            f"expected manifest digest {validation.manifest_digest} in {validation.manifest_uri}, "
            f"found {dataset.manifest.manifest_digest}; validate the data set again"
        )
    return dataset


def load_validation(summary_uri: str) -> Validation:
    """Read a stored summary.

    Raises:
      ConfigError: there is none.
      FormatError: it is of an unknown format.
      DatasetError: it is damaged, or was changed.
    """
    return read_record(
        summary_uri, Validation, what="the summary of verdicts", mend=_AGAIN, versions=_READABLE
    )


def load_verdicts(validation: Validation) -> pa.Table:
    """Read the table of the dropped notes, with the columns of `VERDICT_SCHEMA`.

    Raises:
      ConfigError: there is none.
      ShardError: it is damaged.
      DatasetError: it does not hold the verdicts that were given.
    """
    uri = storage.join(validation.uri, VERDICTS)
    table = read_table(uri, VERDICT_SCHEMA, mend=_AGAIN)
    counts = Counter(table["reason"].to_pylist())
    # Leaked and held-out notes are found by each run and stored with it.
    given = {key: num for key, num in validation.dropped.items() if key not in (LEAKED, HELD_OUT)}
    rows = table["row"].to_pylist()
    are_notes = not rows or (rows[0] >= 0 and rows[-1] < validation.num_seen)
    if (
        counts != given
        or not are_notes
        or rows != sorted(set(rows))
        or validation.verdicts_digest not in (None, table_digest(table))
    ):
        raise DatasetError(f"{uri} does not hold the verdicts that were given; {_AGAIN}")
    return table


def load_reasons(validation: Validation) -> list[str | None]:
    """Return the reason for which each note is dropped, in order; None for a note that is kept."""
    table = load_verdicts(validation)
    reasons: list[str | None] = [None] * validation.num_seen
    for row, reason in zip(table["row"].to_pylist(), table["reason"].to_pylist(), strict=True):
        reasons[row] = reason
    return reasons


def compare_with_official(
    source_names: tuple[str, ...], *, num_records: int, families: Mapping[str, int]
) -> str:
    """Return a sentence on the official split that the file names claim; empty if they claim none.

    Args:
      num_records: rows and quarantined records.
      families: rows by family, before any is dropped.
    """
    split = named_split(source_names[0])
    if split is None or any(named_split(name) is not split for name in source_names):
        return ""
    if num_records != split.num_notes:
        return (
            f"{num_records:,} records, where the official {split.name} split has "
            f"{split.num_notes:,}: this is not that split."
        )
    wrong = [
        f"{family} {families.get(family, 0):,} for {num:,}"
        for family, num in split.families.items()
        if families.get(family, 0) != num
    ]
    if wrong:
        return (
            f"As many records as the official {split.name} split, "
            f"but not the same families: {', '.join(wrong)}."
        )
    return f"All {num_records:,} records of the official {split.name} split."


def check_dropped(validation: Validation, *, max_dropped: float = MAX_DROPPED) -> None:
    """Raise if too many notes of a data set are defective.

    Args:
      max_dropped: largest share of notes that may be defective.

    Raises:
      DatasetError: more are, or no note is left.
    """
    if not 0 <= max_dropped <= 1:
        raise ConfigError(f"max_dropped must be from 0 to 1, got {max_dropped}")
    table = ", ".join(f"{reason} {num}" for reason, num in validation.dropped.items())
    if validation.num_kept == 0:
        raise DatasetError(f"no note of {validation.manifest_uri} is left: {table}")
    defects = sum(num for reason, num in validation.dropped.items() if is_defect(reason))
    share = defects / validation.num_seen
    if share > max_dropped:
        raise DatasetError(
            f"{defects} of {validation.num_seen} notes of {validation.manifest_uri} are defective, "
            f"{share:.1%} where {max_dropped:.1%} is allowed: {table}; see {validation.uri}, "
            "or allow more with --max-dropped"
        )


def _verdicts(dataset: Dataset, notes: pa.Table, reasons: list[str | None]) -> pa.Table:
    """Return one row per dropped note."""
    rows = [row for row, reason in enumerate(reasons) if reason is not None]
    shards = [shard.name for shard in dataset.manifest.shards for _ in range(shard.num_notes)]
    dropped = notes.select(["note_str", "source_file", "source_offset"]).take(
        pa.array(rows, pa.int64())
    )
    return pa.table(
        {
            "row": rows,
            "note_str": dropped["note_str"],
            "reason": [reasons[row] for row in rows],
            "shard": [shards[row] for row in rows],
            "source_file": dropped["source_file"],
            "source_offset": dropped["source_offset"],
        },
        schema=VERDICT_SCHEMA,
    )
