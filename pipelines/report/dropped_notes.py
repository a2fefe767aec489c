"""Dropped notes and quarantined records by reason, with a few examples of each.

The tables are stored beside the data set, which may be deleted by now; the counts of a run do not
need them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipelines import storage
from pipelines.convert.commit.manifest import load_manifest
from pipelines.convert.commit.quarantine import stream_quarantined
from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError, PipelineError
from pipelines.report.formats import count, plural, shown
from pipelines.report.results import RunResults
from pipelines.train.selection.run_notes import load_notes_by_reason
from pipelines.validate.rules import HELD_OUT, LEAKED
from pipelines.validate.verdicts import Validation, load_verdicts

NUM_EXAMPLES: Final = 3

# Reasons that need two data sets or a holdout: the run stores which notes they dropped.
_STORED_BY_RUN: Final = (LEAKED, HELD_OUT)

_Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Example:
    """One dropped note or quarantined record.

    Attributes:
      name: of the note or, where a record has none, what is wrong with it.
      place: its file and offset.
    """

    name: str
    place: str


@dataclass(frozen=True)
class DroppedGroup:
    """All that was dropped for one reason.

    Attributes:
      examples: the first of them in the order of the files; empty where their table is gone.
    """

    reason: str
    num: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class DroppedNotes:
    """What one data set lost.

    Attributes:
      dropped: notes, by the reason of their verdict.
      quarantined: records and spans that never became notes.
      missing: why examples are missing, one sentence each; empty where all are there.
    """

    dropped: Sequence[DroppedGroup]
    quarantined: Sequence[DroppedGroup]
    missing: Sequence[str]


def load_dropped_notes(run: RunResults) -> dict[str, DroppedNotes]:
    """Read what each data set of a run lost, each once, by the part that it plays."""
    named: dict[str, tuple[str, Validation]] = {}
    for name, dataset in run.record.datasets.items():
        named.setdefault(dataset.manifest_digest, (name, dataset))
    return {name: _load(run.uri, name, dataset) for name, dataset in named.values()}


def _load(run_uri: str, name: str, dataset: Validation) -> DroppedNotes:
    missing: list[str] = []

    def read(rows: Callable[[], _Rows], kind: str) -> _Rows:
        try:
            return rows()
        except (PipelineError, FileNotFoundError) as err:
            missing.append(f"no examples of {kind}: {err}")
            return []

    dropped = read(lambda: _dropped(run_uri, name, dataset), "dropped notes")
    quarantined = read(lambda: _quarantined(dataset), "quarantined records")
    return DroppedNotes(
        group_by_reason(dropped, dataset.dropped), group_by_reason(quarantined), missing
    )


def group_by_reason(
    rows: Iterable[Mapping[str, Any]], counts: Mapping[str, int] | None = None
) -> list[DroppedGroup]:
    """Group rows by reason, with the first of each as examples.

    Args:
      rows: with `reason`, `name`, `source_file` and `offset`, and `length` where that is known.
      counts: by reason, where they are known without the rows.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {reason: [] for reason in counts or ()}
    for row in rows:
        groups.setdefault(row["reason"], []).append(row)
    return [
        DroppedGroup(
            reason,
            len(found) if counts is None else counts.get(reason, len(found)),
            tuple(Example(shown(row["name"]), _place(row)) for row in found[:NUM_EXAMPLES]),
        )
        for reason, found in groups.items()
    ]


def _place(row: Mapping[str, Any]) -> str:
    size = f", {plural(row['length'], 'byte')}" if "length" in row else ""
    return f"{shown(row['source_file'])} at {count(row['offset'])}{size}"


def _dropped(run_uri: str, name: str, dataset: Validation) -> _Rows:
    rows: _Rows = []
    if set(dataset.dropped) - set(_STORED_BY_RUN):
        rows += [
            row | {"name": row["note_str"], "offset": row["source_offset"]}
            for row in load_verdicts(dataset).to_pylist()
        ]
    for reason in _STORED_BY_RUN:
        if reason in dataset.dropped:
            rows += _dropped_by_run(run_uri, name, dataset, reason)
    return rows


def _dropped_by_run(run_uri: str, name: str, dataset: Validation, reason: str) -> _Rows:
    table = load_notes_by_reason(run_uri, reason)
    rows = [row for row in table.to_pylist() if row["dataset"] == name]
    rows = sorted(rows, key=lambda row: row["row"])[:NUM_EXAMPLES]
    opened = open_dataset(dataset.manifest_uri)
    _check_same(dataset, opened.manifest.manifest_digest)
    places = opened.take(["source_file", "source_offset"], [row["row"] for row in rows])
    return [
        place | {"reason": reason, "name": row["note_str"], "offset": place["source_offset"]}
        for row, place in zip(rows, places.to_pylist(), strict=True)
    ]


def _quarantined(dataset: Validation) -> _Rows:
    if not dataset.num_quarantined:
        return []
    _check_same(dataset, load_manifest(dataset.manifest_uri).manifest_digest)
    rows = stream_quarantined(storage.parent(dataset.manifest_uri))
    return [{**row, "name": row["detail"]} for row in rows]


def _check_same(dataset: Validation, manifest_digest: str) -> None:
    if manifest_digest != dataset.manifest_digest:
        raise DatasetError(
            f"expected the data set {dataset.manifest_digest} at {dataset.manifest_uri}, found "
            f"{manifest_digest}: it was converted again since; train again to see it here"
        )
