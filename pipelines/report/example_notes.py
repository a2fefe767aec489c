"""The test notes that a page shows and plays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError, PipelineError
from pipelines.evaluate.predictions import Predictions
from pipelines.notes import STORED_RATE_HZ
from pipelines.report.note_media import (
    original_sound,
    originals,
    removed_share,
    spectrogram_image,
    stored_sound,
)
from pipelines.report.results import ModelResults, RunResults

SURE: Final = 0.9
MISSED: Final = 0.1
SLIGHT: Final = 0.1
NUM_PICKS: Final = 3


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
        """How far the true class is ahead of the best other; negative where it is behind."""
        return self.true_probability - self.other_probability


@dataclass(frozen=True)
class Cell:
    """The notes of one class that one rule finds.

    Attributes:
      rule: "sure", "missed", "ahead" or "behind".
      num_notes: notes that qualify.
      picks: the first of them, the most telling first.
      nearest: where none qualifies, the note that came nearest; None where the class has no note.
    """

    rule: str
    num_notes: int
    picks: tuple[Pick, ...]
    nearest: Pick | None


def select_cells(
    predictions: Predictions, families: Sequence[str], label: int
) -> tuple[Cell, Cell, Cell, Cell]:
    """The four cells of one class, in the order of the module's table.

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


Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """A note that stands for its family.

    Attributes:
      spectrogram: of the original, None where its source is gone.
      stored_spectrogram: of what is stored, None where that is gone.
      removed_share: of the original's energy, by resampling.
    """

    row: int
    note_str: str
    family: str
    spectrogram: str | None = None
    stored_spectrogram: str | None = None
    removed_share: float | None = None


def first_kept(run: RunResults) -> list[Sample]:
    """The first kept note of each family, the first of all at the head."""
    # Every model of a run is tested on the same notes, of which validation keeps one at least.
    predictions = run.models[0].predictions
    kept = np.flatnonzero(predictions.kept)
    _, first = np.unique(predictions.label[kept], return_index=True)
    return [
        Sample(
            row=int(predictions.row[place]),
            note_str=predictions.note_str[place],
            family=run.families[predictions.label[place]],
        )
        for place in kept[np.sort(first)]
    ]


def drawn(sample: Sample, found: Mapping[int, Audio], stored: Mapping[int, Audio]) -> Sample:
    """A family's note with its spectrograms."""
    kept = stored.get(sample.row)
    image = None if kept is None else spectrogram_image(kept, rate_hz=STORED_RATE_HZ)
    original = found.get(sample.row)
    if original is None:
        return replace(sample, stored_spectrogram=image)
    return replace(
        sample,
        spectrogram=spectrogram_image(original),
        stored_spectrogram=image,
        removed_share=removed_share(original),
    )


AudioOf = Callable[[Sequence[int]], NDArray[np.float32]]
"""float32 [len(rows), num_samples] of these rows of the test data set."""

OriginalsOf = Callable[[Sequence[int]], Mapping[int, NDArray[np.float32]]]
"""float32 [64000] of these rows, by row; without those whose source is gone."""


@dataclass(frozen=True)
class Waveforms:
    """The samples a report shows, by row of the test data set; none, and why, if they are gone."""

    audio: Mapping[int, NDArray[np.float32]]
    missing: str


@dataclass(frozen=True)
class ClassView:
    """The cells of one class of one model, and how many kept notes it has."""

    family: str
    num_notes: int
    cells: tuple[Cell, ...]


def readers(run: RunResults) -> tuple[AudioOf, OriginalsOf]:
    """What reads the samples of the test notes of a run, and what reads their originals."""
    test = run.record.datasets["test"]

    def audio_of(rows: Sequence[int]) -> NDArray[np.float32]:
        dataset = open_dataset(test.manifest_uri)
        if dataset.manifest.manifest_digest != test.manifest_digest:
            raise DatasetError(
                f"expected the data set {test.manifest_digest} at {test.manifest_uri}, "
                f"found {dataset.manifest.manifest_digest}: other notes than the run was tested on"
            )
        return dataset.audio(rows)

    def originals_of(rows: Sequence[int]) -> Mapping[int, NDArray[np.float32]]:
        return originals(open_dataset(test.manifest_uri), rows)

    return audio_of, originals_of


def no_originals(rows: Sequence[int]) -> Mapping[int, NDArray[np.float32]]:
    """For a page whose sources are gone."""
    return {}


def note_values(run: RunResults, audio_of: AudioOf, originals_of: OriginalsOf) -> dict[str, Any]:
    """What the templates of notes call by name.

    Args:
      run: what the run stored.
      audio_of: called once.
      originals_of: called once, where `audio_of` has an answer.
    """
    classes = {model.name: _class_views(run, model) for model in run.models}
    samples = first_kept(run)
    waveforms = _load_waveforms(audio_of, _rows(classes, samples))
    found = originals_of(list(waveforms.audio)) if waveforms.audio else {}
    return {
        "classes": classes,
        "sample": samples[0],
        "samples": [drawn(sample, found, waveforms.audio) for sample in samples],
        "waveforms": waveforms,
        "sounds": {
            row: original_sound(found[row]) if row in found else stored_sound(audio)
            for row, audio in waveforms.audio.items()
        },
        # Rows whose player the page has already; it grows as the page is written.
        "played": set(),
    }


def _class_views(run: RunResults, model: ModelResults) -> list[ClassView]:
    labels = model.predictions.label[model.predictions.kept]
    return [
        ClassView(
            family=family,
            num_notes=int((labels == label).sum()),
            cells=select_cells(model.predictions, run.families, label),
        )
        for label, family in enumerate(run.families)
    ]


def _rows(classes: Mapping[str, Sequence[ClassView]], samples: Sequence[Sample]) -> list[int]:
    """The rows whose samples the page shows, ascending."""
    rows = {sample.row for sample in samples}
    for views in classes.values():
        for cell in (cell for view in views for cell in view.cells):
            rows.update(pick.row for pick in (*cell.picks, cell.nearest) if pick)
    return sorted(rows)


def _load_waveforms(audio_of: AudioOf, rows: Sequence[int]) -> Waveforms:
    try:
        return Waveforms(dict(zip(rows, audio_of(rows), strict=True)), "")
    except (PipelineError, FileNotFoundError) as err:
        # Shards may be deleted to save space; the rest of the report stands without them.
        return Waveforms({}, str(err))
