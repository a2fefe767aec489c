"""Accuracy on parts of the notes, each with what it rests on; too small a part claims nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.bootstrap import Interval, interval, resample_kinds
from pipelines.evaluate.calibration import equal_mass_bins
from pipelines.evaluate.predictions import Predictions
from pipelines.evaluate.scores import instrument_accuracy, is_too_few
from pipelines.notes import CLASSES

LOST_PITCH: Final = 84
"""The lowest MIDI pitch with its fundamental above 1 kHz (1,046.5 Hz), which is above half the
stored rate: of such notes resampling leaves nothing but what lies below the tone itself."""


@dataclass(frozen=True)
class Slice:
    """Notes that share a property.

    Attributes:
      accuracy: of the notes; None where they or their instruments are too few to claim anything.
      instrument_accuracy: the mean over instruments of each one's accuracy, or None.
      intervals: of 95 %, by figure; see `pipelines.evaluate.scores.Scores`.
      confidence: in a slice by confidence, the mean probability of the predicted class.
    """

    name: str
    num_notes: int
    num_instruments: int
    num_correct: int
    too_few: bool
    accuracy: float | None = None
    instrument_accuracy: float | None = None
    intervals: dict[str, Interval] | None = None
    confidence: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON knows them, without those that do not apply."""
        found = {name: value for name, value in asdict(self).items() if value is not None}
        if self.intervals is not None:
            found["intervals"] = {name: list(ends) for name, ends in self.intervals.items()}
        return found

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Slice":
        """Return the slice of `to_dict`."""
        intervals = content.get("intervals")
        ends = intervals and {name: (low, high) for name, (low, high) in intervals.items()}
        return cls(**{**content, "intervals": ends})


def slices(predictions: Predictions, families: Sequence[str] = CLASSES) -> dict[str, list[Slice]]:
    """The notes by each property in turn; every note is in one slice of each."""
    octave, lost = predictions.pitch // 12, predictions.pitch >= LOST_PITCH
    fundamental = np.where(lost, "above 1 kHz", "up to 1 kHz")
    return {
        "source": _by_value(predictions, predictions.instrument_source_str),
        "velocity": _by_value(predictions, predictions.velocity),
        "pitch_octave": [
            _slice(predictions.take(octave == which), f"{12 * which}-{12 * which + 11}")
            for which in np.unique(octave)
        ],
        "fundamental": _by_value(predictions, fundamental)[::-1],
        "family": [
            _slice(predictions.take(predictions.label == label), families[label])
            for label in np.unique(predictions.label)
        ],
    }


def reliability(predictions: Predictions) -> list[Slice]:
    """The notes by confidence, in bins of equal mass from the least confident."""
    confidence = predictions.probabilities.max(axis=1)
    bins = equal_mass_bins(confidence)
    found = []
    for which in range(int(bins.max()) + 1):
        inside = bins == which
        low, high = confidence[inside].min(), confidence[inside].max()
        mean = float(confidence[inside].mean())
        found.append(_slice(predictions.take(inside), f"{low:.4f}-{high:.4f}", confidence=mean))
    return found


def _by_value(predictions: Predictions, values: NDArray[Any]) -> list[Slice]:
    found: Iterable[Any] = sorted(set(values.tolist()))
    return [_slice(predictions.take(values == value), str(value)) for value in found]


def _slice(predictions: Predictions, name: str, *, confidence: float | None = None) -> Slice:
    instrument, correct = predictions.instrument, predictions.correct
    num_instruments = int(instrument.max()) + 1
    size = (len(predictions), num_instruments, int(correct.sum()))
    if is_too_few(len(predictions), num_instruments):
        return Slice(name, *size, too_few=True, confidence=confidence)
    resampled = resample_kinds(instrument, correct.astype(np.int64), 2)
    samples = {
        "accuracy": resampled.totals[:, 1] / resampled.totals.sum(axis=1),
        "instrument_accuracy": resampled.shares[:, 1],
    }
    found = {figure: interval(of, num_instruments) for figure, of in samples.items()}
    return Slice(
        name,
        *size,
        too_few=False,
        accuracy=float(correct.mean()),
        instrument_accuracy=instrument_accuracy(instrument, correct),
        intervals={figure: ends for figure, ends in found.items() if ends is not None},
        confidence=confidence,
    )
