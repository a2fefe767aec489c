"""How far some features predict the family: a classifier that meets them, and its score.

The classifier is one for all features, so that their scores compare: a random forest takes numbers
and categories without scaling, follows any shape of dependence, needs no tuning, and one thread of
a busy machine is enough for it.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from pipelines.analysis.features import Floats
from pipelines.evaluate.bootstrap import Interval, interval, resample_kinds
from pipelines.evaluate.scores import is_too_few

NUM_TREES: Final = 100
MIN_LEAF: Final = 5
SEED: Final = 0

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class FeatureScore:
    """How often a classifier of some features is right about notes that did not train it.

    Attributes:
      feature: a name of `FEATURES`, `spectrum`, `none`, or `audio` and the model's name.
      interval: of 95 %, with instruments resampled; None where notes are too few or show no spread.
      is_constant: whether the feature has one value only in all notes that train.
    """

    feature: str
    accuracy: float
    interval: Interval | None
    num_notes: int
    num_instruments: int
    is_constant: bool

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON knows them."""
        return asdict(self) | {"interval": list(self.interval) if self.interval else None}


@dataclass(frozen=True)
class Gain:
    """How much more often a classifier is right once it has other features as well.

    Attributes:
      beside: the feature that it has in any case, as `FeatureScore` names them.
      added: what it has more.
      interval: of 95 %, paired, with instruments resampled; None as for a score.
    """

    beside: str
    added: str
    difference: float
    interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON knows them."""
        return asdict(self) | {"interval": list(self.interval) if self.interval else None}


def predict(train: Floats, labels: Ints, test: Floats) -> Ints:
    """The family that a classifier of the training notes gives each test note.

    Args:
      train: float64 [num_train, num_values].
      labels: int64 [num_train].
      test: float64 [num_test, num_values].

    Returns:
      int64 [num_test]; the commonest label where the features never vary.
    """
    if is_constant(train) or len(np.unique(labels)) == 1:
        return np.full(len(test), np.bincount(labels).argmax())
    forest = RandomForestClassifier(
        n_estimators=NUM_TREES, min_samples_leaf=MIN_LEAF, random_state=SEED
    )
    found: Ints = forest.fit(train, labels).predict(test).astype(np.int64)
    return found


def is_constant(values: Floats) -> bool:
    """Whether all notes have the same values."""
    return bool((values == values[:1]).all())


def feature_score(
    feature: str, correct: NDArray[np.bool_], instrument: Ints, *, constant: bool = False
) -> FeatureScore:
    """The score of answers.

    Args:
      correct: bool [num_notes], of which there is one at least.
      instrument: int64 [num_notes], from 0 and without gaps.
      constant: whether the feature says nothing.
    """
    num_instruments = int(instrument.max()) + 1
    ends = None
    if not is_too_few(len(correct), num_instruments):
        totals = resample_kinds(instrument, correct.astype(np.int64), 2).totals
        ends = interval(totals[:, 1] / totals.sum(axis=1), num_instruments)
    return FeatureScore(
        feature, float(correct.mean()), ends, len(correct), num_instruments, constant
    )


def feature_gain(
    beside: str,
    added: str,
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    instrument: Ints,
) -> Gain:
    """What an added feature gains.

    Args:
      before: bool [num_notes], whether each answer without it is right.
      after: the same with it.
      instrument: int64 [num_notes], from 0 and without gaps.
    """
    num_instruments, ends = int(instrument.max()) + 1, None
    if not is_too_few(len(before), num_instruments):
        # Kinds of note: the difference that it makes, -1 to 1, from 0.
        kind = after.astype(np.int64) - before + 1
        totals = resample_kinds(instrument, kind, 3).totals
        ends = interval((totals[:, 2] - totals[:, 0]) / totals.sum(axis=1), num_instruments)
    return Gain(beside, added, float(after.mean() - before.mean()), ends)
