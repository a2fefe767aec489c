"""All figures of a model on its test notes, as metrics.json holds them; from predictions alone."""

from collections.abc import Sequence
from typing import Any, Final

from pipelines.errors import DatasetError
from pipelines.evaluate.bootstrap import LEVEL, NUM_RESAMPLES, SEED
from pipelines.evaluate.calibration import NUM_BINS
from pipelines.evaluate.predictions import EVALUATION_VERSION, Predictions
from pipelines.evaluate.scores import MIN_INSTRUMENTS, MIN_NOTES, score
from pipelines.evaluate.slices import reliability, slices
from pipelines.notes import CLASSES

FORMAT_VERSION: Final = 3
"""3 has no slices by instrument."""

METHOD: Final = {
    "intervals": "two-stage bootstrap: instruments, then notes within them",
    "level": LEVEL,
    "num_resamples": NUM_RESAMPLES,
    "seed": SEED,
    "min_notes": MIN_NOTES,
    "min_instruments": MIN_INSTRUMENTS,
    "num_calibration_bins": NUM_BINS,
}


def summarise(predictions: Predictions, families: Sequence[str] = CLASSES) -> dict[str, Any]:
    """The figures of the kept notes, and beside them those of other choices of notes.

    Args:
      families: the class names in label order.

    Returns:
      The fields of `Scores` of the kept notes; the same under `all_notes`, which has the defective
      ones too, and under `seen` and `unseen`, kept notes by whether their instrument was trained
      on, null where there are none; `slices` and `reliability` of the kept notes; all as JSON
      knows it.

    Raises:
      DatasetError: no note is kept, or the model knows another number of classes.
    """
    if predictions.num_classes != len(families):
        raise DatasetError(
            f"expected predictions of {len(families)} classes, found {predictions.num_classes}; "
            "score again"
        )
    kept = predictions.take(predictions.kept)
    if not len(kept):
        raise DatasetError(
            f"none of the {len(predictions)} scored notes is kept; look at the reasons of the "
            "test data's validation"
        )

    figures = score(kept, families).to_dict()

    def scores(notes: Predictions) -> dict[str, Any] | None:
        if len(notes) == len(kept):
            # The same notes have the same figures, which take a while.
            return figures
        return score(notes, families).to_dict() if len(notes) else None

    return {
        "format_version": FORMAT_VERSION,
        "evaluation_version": EVALUATION_VERSION,
        "method": METHOD,
        **figures,
        "all_notes": scores(predictions),
        "seen": scores(kept.take(kept.instrument_seen)),
        "unseen": scores(kept.take(~kept.instrument_seen)),
        "reliability": [part.to_dict() for part in reliability(kept)],
        "slices": {
            by: [part.to_dict() for part in parts] for by, parts in slices(kept, families).items()
        },
    }
