"""Answers of classifiers to the same notes: how accurate they are, and what one of them gains.

All intervals resample instruments, then their notes, as those of the metrics do.
"""

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.analysis.stored import FeatureScore, Gain
from pipelines.evaluate.bootstrap import interval, resample_kinds
from pipelines.evaluate.scores import is_too_few
from pipelines.train.selection.split import subsample

Ints = NDArray[np.int64]

_SEED: Final = 0


def sample_notes(notes: pa.Table, max_notes: int) -> tuple[Ints, Ints]:
    """Return rows and labels of notes, int64; of more than `max_notes` a stratified part."""
    rows, labels = notes["row"].to_numpy(), notes["label"].to_numpy()
    if len(rows) <= max_notes:
        return rows, labels
    part = subsample(labels, max_notes / len(rows), _SEED)
    return rows[part], labels[part]


def score_answers(
    feature: str, correct: NDArray[np.bool_], instrument: Ints, *, constant: bool = False
) -> FeatureScore:
    """Return the score of a classifier's answers.

    Args:
      correct: bool [num_notes], of at least one note.
      instrument: int64 [num_notes], from 0 and without gaps.
      constant: whether the feature never varies.
    """
    num_instruments = int(instrument.max()) + 1
    ends = None
    if not is_too_few(len(correct), num_instruments):
        totals = resample_kinds(instrument, correct.astype(np.int64), 2).totals
        ends = interval(totals[:, 1] / totals.sum(axis=1), num_instruments)
    return FeatureScore(
        feature, float(correct.mean()), ends, len(correct), num_instruments, constant
    )


def compare_answers(
    beside: str,
    added: str,
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    instrument: Ints,
) -> Gain:
    """Return what an added feature gains.

    Args:
      before: bool [num_notes], whether each answer without it is right.
      after: bool [num_notes], the same with it.
      instrument: int64 [num_notes], from 0 and without gaps.
    """
    num_instruments, ends = int(instrument.max()) + 1, None
    if not is_too_few(len(before), num_instruments):
        # The kind of a note is the difference that the feature makes, -1 to 1, counted from 0.
        kind = after.astype(np.int64) - before + 1
        totals = resample_kinds(instrument, kind, 3).totals
        ends = interval((totals[:, 2] - totals[:, 0]) / totals.sum(axis=1), num_instruments)
    return Gain(beside, added, float(after.mean() - before.mean()), ends)
