"""All figures of a model on its test notes, with intervals where there are enough notes.

They are computed from predictions alone and stored as metrics.json.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from pipelines.errors import DatasetError
from pipelines.evaluate import bootstrap, metrics
from pipelines.evaluate.bootstrap import LEVEL, NUM_RESAMPLES, SEED, Interval, interval
from pipelines.evaluate.metrics import NUM_BINS, equal_mass_bins
from pipelines.evaluate.predictions import EVALUATION_VERSION, Predictions
from pipelines.notes import CLASSES

# 3 has no slices by instrument.
FORMAT_VERSION: Final = 3

# With fewer of either nothing is claimed.
MIN_NOTES: Final = 30
MIN_INSTRUMENTS: Final = 5

# The lowest MIDI pitch with its fundamental above 1 kHz (1,046.5 Hz), half the stored rate:
# resampling leaves nothing of such a tone but what is below it.
LOST_PITCH: Final = 84

METHOD: Final = {
    "intervals": "two-stage bootstrap: instruments, then notes within them",
    "level": LEVEL,
    "num_resamples": NUM_RESAMPLES,
    "seed": SEED,
    "min_notes": MIN_NOTES,
    "min_instruments": MIN_INSTRUMENTS,
    "num_calibration_bins": NUM_BINS,
}


@dataclass(frozen=True)
class Scores:
    """The figures of a model on some notes.

    Attributes:
      too_few: whether notes or instruments are too few for intervals.
      instrument_accuracy: the mean over instruments of each one's accuracy.
      macro_f1: over the families that have notes.
      nll: mean negative log-likelihood, in nats.
      brier: over all classes, 0 to 2.
      ece: expected calibration error, equal-mass bins.
      intervals: of 95 %, by figure; empty where notes are too few, and without figures that show
        no spread.
      confusion_matrix: counts, rows the true classes.
      classification_report: precision, recall, F1, support by class and average.
    """

    num_scored: int
    num_instruments: int
    too_few: bool
    accuracy: float
    instrument_accuracy: float
    macro_f1: float
    weighted_f1: float
    nll: float
    brier: float
    ece: float
    intervals: Mapping[str, Interval]
    confusion_matrix: Sequence[Sequence[int]]
    classification_report: Mapping[str, Sequence[int | float]]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        content: dict[str, Any] = _SCORES.dump_python(self, mode="json")
        return content


@dataclass(frozen=True)
class Slice:
    """Notes that share a property.

    Attributes:
      accuracy: of the notes; None where they or their instruments are too few.
      instrument_accuracy: the mean over instruments of each one's accuracy, or None.
      intervals: of 95 %, by figure, as in `Scores`.
      confidence: in a slice by confidence, the mean probability of the predicted class.
    """

    name: str
    num_notes: int
    num_instruments: int
    num_correct: int
    too_few: bool
    accuracy: float | None = None
    instrument_accuracy: float | None = None
    intervals: Mapping[str, Interval] | None = None
    confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them, without those that do not apply."""
        content: dict[str, Any] = _SLICE.dump_python(self, mode="json", exclude_none=True)
        return content


def summarise(predictions: Predictions, families: Sequence[str] = CLASSES) -> dict[str, Any]:
    """Compute the figures of the kept notes, and those of other choices of notes.

    Args:
      families: the class names in label order.

    Returns:
      The fields of `Scores` of the kept notes; the same under `all_notes`, which has the defective
      ones too, and under `seen` and `unseen`, kept notes by whether their instrument was trained
      on, null where there are none; `slices` and `reliability` of the kept notes; all as JSON
      has it.

    Raises:
      DatasetError: no note is kept, or the model has another number of classes.
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


def is_too_few(num_notes: int, num_instruments: int) -> bool:
    """Return whether notes or instruments are too few to claim anything."""
    return num_notes < MIN_NOTES or num_instruments < MIN_INSTRUMENTS


def score(predictions: Predictions, families: Sequence[str] = CLASSES) -> Scores:
    """Compute the figures of at least one note."""
    label, predicted = predictions.label, predictions.predicted
    matrix = metrics.confusion_matrix(label, predicted, len(families))
    instrument = predictions.instrument
    num_instruments = int(instrument.max()) + 1
    losses = _losses(predictions)
    nll, brier = losses.mean(axis=0)
    too_few = is_too_few(len(predictions), num_instruments)
    confidence = predictions.probabilities.max(axis=1)
    return Scores(
        num_scored=len(predictions),
        num_instruments=num_instruments,
        too_few=too_few,
        accuracy=float(metrics.accuracy(matrix)),
        instrument_accuracy=instrument_accuracy(instrument, predictions.correct),
        macro_f1=float(metrics.macro_f1(matrix)),
        weighted_f1=float(metrics.weighted_f1(matrix)),
        nll=float(nll),
        brier=float(brier),
        ece=metrics.expected_calibration_error(confidence, predictions.correct),
        intervals={} if too_few else _intervals(predictions, instrument, losses),
        confusion_matrix=matrix.tolist(),
        classification_report=metrics.report_from_confusion(matrix, families),
    )


def instrument_accuracy(instrument: NDArray[np.int64], correct: NDArray[np.bool_]) -> float:
    """Return the mean over instruments of each one's accuracy.

    Args:
      instrument: int64 [num_notes], from 0 and without gaps.
      correct: bool [num_notes].
    """
    return float((np.bincount(instrument, weights=correct) / np.bincount(instrument)).mean())


def _losses(predictions: Predictions) -> NDArray[np.float64]:
    """Return negative log-likelihoods and Brier scores, float64 [num_notes, 2]."""
    answers = predictions.label, predictions.probabilities
    return np.stack([metrics.negative_log_likelihood(*answers), metrics.brier(*answers)], axis=1)


def _intervals(
    predictions: Predictions, instrument: NDArray[np.int64], losses: NDArray[np.float64]
) -> dict[str, Interval]:
    num_classes = predictions.num_classes
    cells = metrics.cells(predictions.label, predictions.predicted, num_classes)
    resampled = bootstrap.resample_kinds(instrument, cells, num_classes**2)
    matrices = resampled.totals.reshape(-1, num_classes, num_classes)
    means = bootstrap.resample_means(instrument, losses)
    # A resample repeats notes, which makes any model look less calibrated: ECE has no interval.
    samples = {
        "accuracy": metrics.accuracy(matrices),
        "instrument_accuracy": resampled.shares[:, :: num_classes + 1].sum(axis=1),
        "macro_f1": metrics.macro_f1(matrices),
        "weighted_f1": metrics.weighted_f1(matrices),
        "nll": means[:, 0],
        "brier": means[:, 1],
    }
    return _spread_intervals(samples, int(instrument.max()) + 1)


def _spread_intervals(
    samples: Mapping[str, NDArray[np.float64]], num_instruments: int
) -> dict[str, Interval]:
    """Return the intervals of resampled figures, without those that show no spread."""
    found = {name: interval(values, num_instruments) for name, values in samples.items()}
    return {name: ends for name, ends in found.items() if ends is not None}


def slices(predictions: Predictions, families: Sequence[str] = CLASSES) -> dict[str, list[Slice]]:
    """Divide the notes by each property in turn; every note is in one slice of each."""
    octave, is_lost = predictions.pitch // 12, predictions.pitch >= LOST_PITCH
    fundamental = np.where(is_lost, "above 1 kHz", "up to 1 kHz")
    return {
        "source": _by_value(predictions, predictions.instrument_source_str),
        "velocity": _by_value(predictions, predictions.velocity),
        "pitch_octave": [
            _slice(predictions.take(octave == number), f"{12 * number}-{12 * number + 11}")
            for number in np.unique(octave)
        ],
        "fundamental": _by_value(predictions, fundamental)[::-1],
        "family": [
            _slice(predictions.take(predictions.label == label), families[label])
            for label in np.unique(predictions.label)
        ],
    }


def reliability(predictions: Predictions) -> list[Slice]:
    """Divide the notes by confidence, in bins of equal mass from the least confident."""
    confidence = predictions.probabilities.max(axis=1)
    bins = equal_mass_bins(confidence)
    parts = []
    for number in range(int(bins.max()) + 1):
        inside = bins == number
        low, high = confidence[inside].min(), confidence[inside].max()
        mean = float(confidence[inside].mean())
        parts.append(_slice(predictions.take(inside), f"{low:.4f}-{high:.4f}", confidence=mean))
    return parts


def _by_value(predictions: Predictions, values: NDArray[Any]) -> list[Slice]:
    found: Iterable[Any] = sorted(set(values.tolist()))
    return [_slice(predictions.take(values == value), str(value)) for value in found]


def _slice(predictions: Predictions, name: str, *, confidence: float | None = None) -> Slice:
    instrument, correct = predictions.instrument, predictions.correct
    num_instruments = int(instrument.max()) + 1
    size = (len(predictions), num_instruments, int(correct.sum()))
    if is_too_few(len(predictions), num_instruments):
        return Slice(name, *size, too_few=True, confidence=confidence)
    resampled = bootstrap.resample_kinds(instrument, correct.astype(np.int64), 2)
    samples = {
        "accuracy": resampled.totals[:, 1] / resampled.totals.sum(axis=1),
        "instrument_accuracy": resampled.shares[:, 1],
    }
    return Slice(
        name,
        *size,
        too_few=False,
        accuracy=float(correct.mean()),
        instrument_accuracy=instrument_accuracy(instrument, correct),
        intervals=_spread_intervals(samples, num_instruments),
        confidence=confidence,
    )


_SCORES: Final = TypeAdapter(Scores)
_SLICE: Final = TypeAdapter(Slice)
