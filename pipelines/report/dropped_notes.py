"""Dropped notes and quarantined records by reason, with a few examples of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipelines import storage
from pipelines.convert.manifest import load_manifest
from pipelines.convert.quarantine import list_quarantined
from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError, PipelineError
from pipelines.report.formats import count, plural, shown
from pipelines.report.results import RunResults
from pipelines.train.selection.run_notes import load_kept_out
from pipelines.validate.rules import HELD_OUT, LEAKED
from pipelines.validate.verdicts import Validation, load_verdicts

NUM_EXAMPLES: Final = 3

_OF_RUN: Final[Mapping[str, str]] = {LEAKED: "leaked.parquet", HELD_OUT: "gate.parquet"}
"""Reasons that need two data sets or a gate: the run keeps which notes they are."""


@dataclass(frozen=True)
class Example:
    """One note or record that was left out.

    Attributes:
      what: its name, or where it has none what is wrong with it.
      place: its file and offset.
    """

    what: str
    place: str


@dataclass(frozen=True)
class Loss:
    """What one reason took.

    Attributes:
      examples: the first of them in the order of the files; empty where their table is gone.
    """

    reason: str
    num: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Losses:
    """What one data set lost.

    Attributes:
      dropped: notes, by the reason of their verdict.
      quarantined: records and spans that never became notes.
      missing: why examples are missing, a sentence each; empty where all are there.
    """

    dropped: Sequence[Loss]
    quarantined: Sequence[Loss]
    missing: Sequence[str]


def load_losses(run: RunResults) -> dict[str, Losses]:
    """The losses of each data set of a run, by the part that it plays; each data set once."""
    named: dict[str, tuple[str, Validation]] = {}
    for name, dataset in run.record.datasets.items():
        named.setdefault(dataset.manifest_digest, (name, dataset))
    return {name: _losses(run.uri, name, dataset) for name, dataset in named.values()}


def _losses(run_uri: str, name: str, dataset: Validation) -> Losses:
    missing: list[str] = []
    dropped: list[dict[str, Any]] = []
    quarantined: list[dict[str, Any]] = []
    try:
        dropped = _verdicts(dataset) if set(dataset.dropped) - set(_OF_RUN) else []
        dropped += [
            row
            for reason in _OF_RUN
            if reason in dataset.dropped
            for row in _kept_out(run_uri, name, dataset, reason)
        ]
    except (PipelineError, FileNotFoundError) as err:
        missing.append(f"no examples of dropped notes: {err}")
    try:
        quarantined = _quarantined(dataset) if dataset.num_quarantined else []
    except (PipelineError, FileNotFoundError) as err:
        missing.append(f"no examples of quarantined records: {err}")
    return Losses(
        dropped=by_reason(dropped, dataset.dropped),
        quarantined=by_reason(quarantined),
        missing=missing,
    )


def by_reason(
    rows: Iterable[Mapping[str, Any]], counts: Mapping[str, int] | None = None
) -> list[Loss]:
    """Rows with a reason each, counted, and the first of each as examples.

    Args:
      rows: with `reason`, `what`, `source_file` and `offset`, and `length` where that is known.
      counts: by reason, where they are known without the rows.
    """
    found: dict[str, list[Mapping[str, Any]]] = {reason: [] for reason in counts or ()}
    for row in rows:
        found.setdefault(row["reason"], []).append(row)
    return [
        Loss(
            reason,
            len(of) if counts is None else counts.get(reason, len(of)),
            tuple(Example(shown(row["what"]), _place(row)) for row in of[:NUM_EXAMPLES]),
        )
        for reason, of in found.items()
    ]


def _place(row: Mapping[str, Any]) -> str:
    size = f", {plural(row['length'], 'byte')}" if "length" in row else ""
    return f"{shown(row['source_file'])} at {count(row['offset'])}{size}"


def _verdicts(dataset: Validation) -> list[dict[str, Any]]:
    rows = load_verdicts(dataset).to_pylist()
    return [row | {"what": row["note_str"], "offset": row["source_offset"]} for row in rows]


def _kept_out(run_uri: str, name: str, dataset: Validation, reason: str) -> list[dict[str, Any]]:
    table = load_kept_out(storage.join(run_uri, _OF_RUN[reason]))
    rows = [row for row in table.to_pylist() if row["dataset"] == name]
    rows = sorted(rows, key=lambda row: row["row"])[:NUM_EXAMPLES]
    opened = open_dataset(dataset.manifest_uri)
    _check_same(dataset, opened.manifest.manifest_digest)
    places = opened.take(["source_file", "source_offset"], [row["row"] for row in rows])
    return [
        place | {"reason": reason, "what": row["note_str"], "offset": place["source_offset"]}
        for row, place in zip(rows, places.to_pylist(), strict=True)
    ]


def _quarantined(dataset: Validation) -> list[dict[str, Any]]:
    _check_same(dataset, load_manifest(dataset.manifest_uri).manifest_digest)
    rows = list_quarantined(dataset.manifest_uri).to_pylist()
    return [row | {"what": row["detail"]} for row in rows]


def _check_same(dataset: Validation, found: str) -> None:
    if found != dataset.manifest_digest:
        raise DatasetError(
            f"expected the data set {dataset.manifest_digest} at {dataset.manifest_uri}, found "
            f"{found}: it was converted again since; train again to see it here"
        )
