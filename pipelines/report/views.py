"""What every form of a report shows of a model, chosen once."""

from typing import Final

from pipelines.evaluate.predictions import Predictions
from pipelines.evaluate.scores import Scores
from pipelines.evaluate.slices import Slice, slices
from pipelines.report import formats, published
from pipelines.report.results import ModelResults, RunResults

SHOWN_SLICES: Final = {
    "source": "source",
    "velocity": "velocity",
    "pitch_octave": "MIDI pitches",
    "fundamental": "fundamental",
}
"""Of `pipelines.evaluate.slices`, what the page draws, and how it is called there."""


def kept(model: ModelResults) -> Predictions:
    """The predictions of the notes that validation kept."""
    return model.predictions.take(model.predictions.kept)


def shown_slices(run: RunResults, model: ModelResults) -> dict[str, list[Slice]]:
    """The kept notes by each property of `SHOWN_SLICES`."""
    found = slices(kept(model), run.families)
    return {name: found[name] for name in SHOWN_SLICES}


def score_views(model: ModelResults) -> list[tuple[str, Scores | published.PublishedModel]]:
    """What stands side by side: kept notes, all notes where they are more, published ones."""
    num_kept, every = model.kept.num_scored, model.every.num_scored
    views: list[tuple[str, Scores | published.PublishedModel]] = []
    if num_kept == every:
        views.append((f"all notes ({formats.count(every)}), none dropped", model.every))
    else:
        views.append((f"kept notes ({formats.count(num_kept)})", model.kept))
        views.append((f"all notes ({formats.count(every)})", model.every))
    if model.published:
        title = f"published ({formats.count(published.NUM_TEST_NOTES)})"
        views.append((title, model.published))
    return views
