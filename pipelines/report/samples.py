"""A note of each family, and what it sounds like before and after resampling."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.notes import STORED_RATE_HZ
from pipelines.report.drawing.spectrograms import removed_share, spectrogram_image
from pipelines.report.results import RunResults

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
