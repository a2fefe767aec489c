"""The figures of one choice of notes, each with an interval where there are notes enough."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate import bootstrap, calibration, confusion
from pipelines.evaluate.bootstrap import Interval, interval
from pipelines.evaluate.predictions import Predictions
from pipelines.notes import CLASSES

MIN_NOTES: Final = 30
MIN_INSTRUMENTS: Final = 5
"""Fewer than either are too few to claim anything."""


@dataclass(frozen=True)
class Scores:
    """How a model did on some notes.

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
    classification_report: Mapping[str, Sequence[float]]

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON knows them."""
        intervals = {name: list(ends) for name, ends in self.intervals.items()}
        return asdict(self) | {"intervals": intervals}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Scores":
        """The scores of `to_dict`, whatever else stands beside them."""
        fields = {name: content[name] for name in cls.__dataclass_fields__}
        intervals = {name: (low, high) for name, (low, high) in fields["intervals"].items()}
        return cls(**fields | {"intervals": intervals})


def is_too_few(num_notes: int, num_instruments: int) -> bool:
    """Whether a slice is too small to claim anything."""
    return num_notes < MIN_NOTES or num_instruments < MIN_INSTRUMENTS


def score(predictions: Predictions, families: Sequence[str] = CLASSES) -> Scores:
    """The figures of these notes, of which there must be one at least."""
    label, predicted = predictions.label, predictions.predicted
    matrix = confusion.confusion_matrix(label, predicted, len(families))
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
        accuracy=float(confusion.accuracy(matrix)),
        instrument_accuracy=instrument_accuracy(instrument, predictions.correct),
        macro_f1=float(confusion.macro_f1(matrix)),
        weighted_f1=float(confusion.weighted_f1(matrix)),
        nll=float(nll),
        brier=float(brier),
        ece=calibration.expected_calibration_error(confidence, predictions.correct),
        intervals={} if too_few else _intervals(predictions, instrument, losses),
        confusion_matrix=matrix.tolist(),
        classification_report=confusion.report_from_confusion(matrix, families),
    )


def instrument_accuracy(instrument: NDArray[np.int64], correct: NDArray[np.bool_]) -> float:
    """The mean over instruments of each one's accuracy."""
    return float((np.bincount(instrument, weights=correct) / np.bincount(instrument)).mean())


def _losses(predictions: Predictions) -> NDArray[np.float64]:
    """Negative log-likelihood and Brier score, [num_notes, 2]."""
    of = predictions.label, predictions.probabilities
    return np.stack([calibration.negative_log_likelihood(*of), calibration.brier(*of)], axis=1)


def _intervals(
    predictions: Predictions, instrument: NDArray[np.int64], losses: NDArray[np.float64]
) -> dict[str, Interval]:
    num_classes = predictions.num_classes
    cells = confusion.cells(predictions.label, predictions.predicted, num_classes)
    resampled = bootstrap.resample_kinds(instrument, cells, num_classes**2)
    matrices = resampled.totals.reshape(-1, num_classes, num_classes)
    means = bootstrap.resample_means(instrument, losses)
    # A resample repeats notes, which makes any model look less calibrated: ECE has no interval.
    samples = {
        "accuracy": confusion.accuracy(matrices),
        "instrument_accuracy": resampled.shares[:, :: num_classes + 1].sum(axis=1),
        "macro_f1": confusion.macro_f1(matrices),
        "weighted_f1": confusion.weighted_f1(matrices),
        "nll": means[:, 0],
        "brier": means[:, 1],
    }
    num_instruments = int(instrument.max()) + 1
    found = {name: interval(of, num_instruments) for name, of in samples.items()}
    return {name: ends for name, ends in found.items() if ends is not None}
