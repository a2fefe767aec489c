"""The notes that a page shows and plays: which ones, their samples and their sounds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError, PipelineError
from pipelines.report.results import ModelResults, RunResults
from pipelines.report.samples import Sample, drawn, first_kept
from pipelines.report.selection import Cell, select_cells
from pipelines.report.sounds import original_sound, originals, stored_sound

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
