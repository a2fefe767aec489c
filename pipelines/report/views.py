"""What every form of a report shows of a model, chosen once."""

from collections.abc import Sequence
from typing import Final

from pipelines.evaluate.scores import Scores
from pipelines.evaluate.slices import Slice
from pipelines.report import formats, published
from pipelines.report.results import ModelResults, RunResults

SHOWN_SLICES: Final = {
    "source": "source",
    "velocity": "velocity",
    "pitch_octave": "MIDI pitches",
    "fundamental": "fundamental",
}
"""Of `pipelines.evaluate.slices`, what the page draws, and how it is called there."""

FIGURES: Final = (
    ("macro F1", "macro_f1"),
    ("weighted F1", "weighted_f1"),
    ("negative log-likelihood", "nll"),
    ("Brier score", "brier"),
    ("calibration error", "ece"),
)
"""Beside accuracy: what a figure is called, and its field of `Scores`."""


Choice = tuple[str, str]
"""What some notes are called, and the field of `ModelResults` that has their scores."""


def note_choices(run: RunResults) -> list[Choice]:
    """Kept notes, and their two parts where some are of seen instruments and others are not."""
    model = run.models[0]
    choices = [("kept notes", "kept")]
    if model.seen and model.unseen:
        choices += [("seen instruments", "seen"), ("unseen instruments", "unseen")]
    return choices


def accuracies(run: RunResults) -> list[tuple[str, str, str]]:
    """The accuracies of a run: what each is called, of which notes it is, and its figure."""
    (kept_notes, *parts) = note_choices(run)
    return [
        (f"accuracy, {kept_notes[0]}", kept_notes[1], "accuracy"),
        ("accuracy, mean of instruments", "kept", "instrument_accuracy"),
        *((f"accuracy, {title}", of, "accuracy") for title, of in parts),
        ("accuracy, all notes", "every", "accuracy"),
    ]


def shown_slices(model: ModelResults) -> dict[str, Sequence[Slice]]:
    """Return the kept notes by each property of `SHOWN_SLICES`."""
    return {name: model.slices[name] for name in SHOWN_SLICES}


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
