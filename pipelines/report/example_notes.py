"""The test notes that a page shows and plays: which ones, their samples and their sounds.

Of each class there are four cells. With p the probability of a note's true class:

    sure      p above 0.9
    missed    p below 0.1
    ahead     the true class wins, by less than 0.1 over the best other class
    behind    the true class loses, by less than 0.1 to the best other class

Only notes that validation kept are considered.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError, PipelineError
from pipelines.evaluate.predictions import Predictions
from pipelines.notes import NUM_SOURCE_SAMPLES, number_text, stored_rate_hz
from pipelines.report.note_media import (
    Audio,
    original_sound,
    read_originals,
    removed_share,
    spectrogram_image,
    stored_sound,
)
from pipelines.report.results import ModelResults, RunResults

SURE: Final = 0.9
MISSED: Final = 0.1
SLIGHT: Final = 0.1
NUM_PICKS: Final = 3

# Reads float32 [len(rows), num_samples] of rows of the test data set.
AudioReader = Callable[[Sequence[int]], NDArray[np.float32]]
# Reads float32 [64000] of each row whose source is still there.
OriginalsReader = Callable[[Sequence[int]], Mapping[int, Audio]]


@dataclass(frozen=True)
class Pick:
    """One note: its row in the test data set, p, and the best other class with its probability."""

    row: int
    note_str: str
    true_probability: float
    other: str
    other_probability: float

    @property
    def margin(self) -> float:
        """Return the lead of the true class over the best other; negative where it loses."""
        return self.true_probability - self.other_probability


@dataclass(frozen=True)
class Cell:
    """The notes of one class that one rule selects.

    Attributes:
      rule: "sure", "missed", "ahead" or "behind".
      num_notes: notes that qualify.
      picks: the first of them, the clearest first.
      nearest: where none qualifies, the note that came nearest; None where the class has no note.
    """

    rule: str
    num_notes: int
    picks: tuple[Pick, ...]
    nearest: Pick | None


@dataclass(frozen=True)
class ClassNotes:
    """The cells of one class of one model, and its number of kept notes."""

    family: str
    num_notes: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Waveforms:
    """The samples a report shows, by row of the test data set; none, and why, if they are gone."""

    audio: Mapping[int, Audio]
    missing: str


@dataclass(frozen=True)
class FamilyExample:
    """The first kept note of a family.

    Attributes:
      spectrogram: of the original, None where its source is gone.
      stored_spectrogram: of what is stored, None where that is gone.
      removed_share: of the original's energy, by resampling.
    """

    row: int
    note_str: str
    family: str
    spectrogram: str | None
    stored_spectrogram: str | None
    removed_share: float | None


def open_readers(run: RunResults) -> tuple[AudioReader, OriginalsReader]:
    """Return readers of the samples and of the originals of the test notes of a run."""
    test = run.record.datasets["test"]

    def read_audio(rows: Sequence[int]) -> NDArray[np.float32]:
        dataset = open_dataset(test.manifest_uri)
        if dataset.manifest.manifest_digest != test.manifest_digest:
            raise DatasetError(
                f"expected the data set {test.manifest_digest} at {test.manifest_uri}, "
                f"found {dataset.manifest.manifest_digest}: other notes than the run was tested on"
            )
        return dataset.audio(rows)

    return read_audio, lambda rows: read_originals(open_dataset(test.manifest_uri), rows)


def note_values(
    run: RunResults, read_audio: AudioReader, read_originals: OriginalsReader
) -> dict[str, Any]:
    """Return the values that the templates of notes use, by name.

    Args:
      read_audio: called once.
      read_originals: called once, where `read_audio` has an answer.
    """
    classes = {
        model.name: [_class_notes(run, model, label) for label in range(len(run.families))]
        for model in run.models
    }
    firsts = _first_kept(run)
    shown = {row for row, _, _ in firsts}
    for cell in (cell for notes in classes.values() for entry in notes for cell in entry.cells):
        shown.update(pick.row for pick in (*cell.picks, cell.nearest) if pick)
    waveforms = _load_waveforms(read_audio, sorted(shown))
    originals = read_originals(list(waveforms.audio)) if waveforms.audio else {}
    num_samples = run.record.num_samples
    return {
        "classes": classes,
        "is_resampled": num_samples != NUM_SOURCE_SAMPLES,
        # The highest frequency that is stored.
        "highest_khz": number_text(stored_rate_hz(num_samples) / 2_000),
        "family_examples": [
            _draw_example(*first, originals=originals, stored=waveforms.audio) for first in firsts
        ],
        "waveforms": waveforms,
        "sounds": {
            row: original_sound(originals[row]) if row in originals else stored_sound(audio)
            for row, audio in waveforms.audio.items()
        },
        # Rows whose player the page has already; it grows as the page is written.
        "played": set(),
    }


def _class_notes(run: RunResults, model: ModelResults, label: int) -> ClassNotes:
    predictions = model.predictions
    return ClassNotes(
        family=run.families[label],
        num_notes=int((predictions.kept & (predictions.label == label)).sum()),
        cells=select_cells(predictions, run.families, label),
    )


def select_cells(
    predictions: Predictions, families: Sequence[str], label: int
) -> tuple[Cell, Cell, Cell, Cell]:
    """Select the four cells of one class, in the order of the module's table.

    The sure are ordered from the highest p, the missed from the lowest, the others from the
    smallest margin; equals stay in the order of the data set.
    """
    notes = np.flatnonzero(predictions.kept & (predictions.label == label))
    probabilities = predictions.probabilities[notes]
    true = probabilities[:, label]
    others = probabilities.copy()
    others[:, label] = -np.inf
    other = others.argmax(axis=1)
    margin = true - others.max(axis=1)
    # The stored prediction decides the side of a tie, as it does in the confusion matrix.
    won = predictions.predicted[notes] == label
    distance = np.abs(margin)

    def cell(rule: str, qualifies: NDArray[np.bool_], order: NDArray[np.intp]) -> Cell:
        # [num_notes] in the rule's order; what qualifies, if anything does, comes first.
        picks = [
            Pick(
                row=int(predictions.row[notes[i]]),
                note_str=predictions.note_str[notes[i]],
                true_probability=float(true[i]),
                other=families[other[i]],
                other_probability=float(probabilities[i, other[i]]),
            )
            for i in order[:NUM_PICKS]
        ]
        num_notes = int(qualifies.sum())
        nearest = picks[0] if picks and num_notes == 0 else None
        return Cell(rule, num_notes, tuple(picks[:num_notes]), nearest)

    return (
        cell("sure", true > SURE, np.argsort(-true, kind="stable")),
        cell("missed", true < MISSED, np.argsort(true, kind="stable")),
        # lexsort: by side first, by distance within it, and stable.
        cell("ahead", won & (distance < SLIGHT), np.lexsort((distance, ~won))),
        cell("behind", ~won & (distance < SLIGHT), np.lexsort((distance, won))),
    )


def _first_kept(run: RunResults) -> list[tuple[int, str, str]]:
    """Return row, name and family of the first kept note of each family, in the order of rows."""
    # Every model of a run is tested on the same notes, of which validation keeps one at least.
    predictions = run.models[0].predictions
    kept = np.flatnonzero(predictions.kept)
    _, first = np.unique(predictions.label[kept], return_index=True)
    return [
        (int(predictions.row[i]), predictions.note_str[i], run.families[predictions.label[i]])
        for i in kept[np.sort(first)]
    ]


def _draw_example(
    row: int,
    note_str: str,
    family: str,
    *,
    originals: Mapping[int, Audio],
    stored: Mapping[int, Audio],
) -> FamilyExample:
    original, audio = originals.get(row), stored.get(row)
    return FamilyExample(
        row,
        note_str,
        family,
        spectrogram=None if original is None else spectrogram_image(original),
        stored_spectrogram=None
        if audio is None
        else spectrogram_image(audio, rate_hz=stored_rate_hz(len(audio))),
        removed_share=None
        if original is None or audio is None
        else removed_share(original, num_samples=len(audio)),
    )


def _load_waveforms(read_audio: AudioReader, rows: Sequence[int]) -> Waveforms:
    try:
        return Waveforms(dict(zip(rows, read_audio(rows), strict=True)), "")
    except (PipelineError, FileNotFoundError) as err:
        # Shards may be deleted to save space; the rest of the report does not need them.
        return Waveforms({}, str(err))
