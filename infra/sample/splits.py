"""The three files of the sample: intact notes, and defects spread evenly among them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from infra.sample.catalogue import Note, Roster, draw, family_counts, features
from infra.sample.defects import DEFECTS, Defect, Fate
from infra.sample.records import example, frame
from pipelines import storage
from pipelines.errors import ConfigError

# Default number of intact notes per split: 200 MB, on which the two models differ clearly.
NUM_NOTES: Final[Mapping[str, int]] = {"train": 450, "valid": 120, "test": 200}

# Enough for some of each family, and for an intact note between any two defects.
MIN_NOTES: Final = 40


@dataclass(frozen=True)
class Planted:
    """The defects that the pipeline has to find in one file.

    Attributes:
      num_rows: notes that become rows.
      verdicts: rows to drop by reason. `leaked` needs the test split too; seen without it, such a
        note is kept.
      quarantined: records that become no row, and spans that are no valid record, by reason.
      num_spans: how many of `quarantined` are spans.
    """

    num_rows: int
    verdicts: dict[str, int]
    quarantined: dict[str, int]
    num_spans: int


def planted(split: str, num_notes: int | None = None) -> Planted:
    """Return the defects to plant in a split with this number of intact notes."""
    num_notes = NUM_NOTES[split] if num_notes is None else num_notes
    leads = {"synth_lead": family_counts(split, num_notes)["synth_lead"]}
    verdicts, spans = _count(split, "verdict"), _count(split, "span")
    num_spoiled_rows = sum(defect.fate == "verdict" for defect in _defects(split))
    return Planted(
        num_rows=num_notes + num_spoiled_rows,
        verdicts={reason: num for reason, num in (leads | verdicts).items() if num},
        quarantined=_count(split, "record") | spans,
        num_spans=sum(spans.values()),
    )


def write_splits(
    out: str, num_notes: Mapping[str, int] = NUM_NOTES, *, seed: int = 0
) -> dict[str, bool]:
    """Write the three files, each whole or not at all.

    Args:
      out: the folder.
      num_notes: intact notes by split.
      seed: of everything.

    Returns:
      For each file's location whether it was written: one that holds the same bytes stays
      untouched, so that conversions of it stay valid.

    Raises:
      ConfigError: a split is too small for what belongs in it, or the folder cannot be written.
    """
    for split, number in num_notes.items():
        if number < MIN_NOTES:
            raise ConfigError(f"the {split} split needs at least {MIN_NOTES} notes, got {number}")
    storage.check_writable(out)
    rosters = draw(num_notes, {split: len(_defects(split)) for split in num_notes}, seed=seed)
    written = {}
    for split in num_notes:
        uri = storage.join(out, f"nsynth-{split}.tfrecord")
        data = b"".join(_records(split, rosters, seed=seed))
        written[uri] = not storage.exists(uri) or storage.read(uri) != data
        if written[uri]:
            storage.put(uri, data)
    return written


def _records(split: str, rosters: Mapping[str, Roster], *, seed: int) -> Iterator[bytes]:
    """Yield the bytes of one file, a record or a defect at a time."""
    notes, num_defects = rosters[split].notes, len(rosters[split].spares)
    defects = _defective(split, rosters, seed=seed)
    # Equal stretches of intact notes end in a defect each.
    ends = {stretch * len(notes) // num_defects for stretch in range(1, num_defects + 1)}
    for position, note in enumerate(notes, start=1):
        yield frame(example(features(note, seed=seed)))
        if position in ends:
            yield next(defects)


def _defective(split: str, rosters: Mapping[str, Roster], *, seed: int) -> Iterator[bytes]:
    """Yield the bytes of each defect of a split, in the order of the table."""
    free = {name: list(roster.notes) for name, roster in rosters.items()}
    for defect, spare in zip(_defects(split), rosters[split].spares, strict=True):
        twin = spare
        if defect.twin:
            pool = free["test" if defect.twin == "test note" else split]
            twin = next(note for note in pool if _fits(defect, note, spare))
            # Two defects with one twin would change each other's counts.
            pool.remove(twin)
        yield defect.plant(features(spare, seed=seed), features(twin, seed=seed))


def _fits(defect: Defect, note: Note, spare: Note) -> bool:
    """Return whether an intact note can be the twin of a spare one."""
    if defect.twin == "other family":
        return note.family not in (spare.family, "synth_lead")
    return note.family == spare.family


def _defects(split: str) -> list[Defect]:
    return [defect for defect in DEFECTS.values() if split in defect.splits]


def _count(split: str, fate: Fate) -> dict[str, int]:
    counts: dict[str, int] = {}
    for defect in _defects(split):
        if defect.fate == fate:
            counts[defect.reason] = counts.get(defect.reason, 0) + defect.num
    return counts
