"""Which notes are worth a look: the sure, the missed, and those at the decision boundary.

Of each class there are four cells. With p the probability of a note's true class:

    sure      p above 0.9
    missed    p below 0.1
    ahead     the true class wins, by less than 0.1 over the best other class
    behind    the true class loses, by less than 0.1 to the best other class

Only notes that validation kept are considered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.predictions import Predictions

SURE: Final = 0.9
MISSED: Final = 0.1
SLIGHT: Final = 0.1
NUM_PICKS: Final = 3


@dataclass(frozen=True)
class Pick:
    """One note: its row in the test data set, p, and the best other class with its probability."""

    row: int
    note_str: str
    true_probability: float
    other: str
    other_probability: float

    @property
    def margin(self) -> float:
        """How far the true class is ahead of the best other; negative where it is behind."""
        return self.true_probability - self.other_probability


@dataclass(frozen=True)
class Cell:
    """The notes of one class that one rule finds.

    Attributes:
      rule: "sure", "missed", "ahead" or "behind".
      num_notes: notes that qualify.
      picks: the first of them, the most telling first.
      nearest: where none qualifies, the note that came nearest; None where the class has no note.
    """

    rule: str
    num_notes: int
    picks: tuple[Pick, ...]
    nearest: Pick | None


def select_cells(
    predictions: Predictions, families: Sequence[str], label: int
) -> tuple[Cell, Cell, Cell, Cell]:
    """The four cells of one class, in the order of the module's table.

    The sure are ordered from the highest p, the missed from the lowest, the others from the
    smallest margin; equals stay in the order of the data set.
    """
    notes = np.flatnonzero(predictions.kept & (predictions.label == label))
    probabilities = predictions.probabilities[notes]
    true = probabilities[:, label]
    others = probabilities.copy()
    others[:, label] = -np.inf
    other = others.argmax(axis=1)
    margin = true - others.max(axis=1)
    # The stored prediction decides the side of a tie, as it does in the confusion matrix.
    won = predictions.predicted[notes] == label
    distance = np.abs(margin)

    def cell(rule: str, qualifies: NDArray[np.bool_], order: NDArray[np.intp]) -> Cell:
        # [num_notes] in the rule's order; what qualifies, if anything does, comes first.
        picks = [
            Pick(
                row=int(predictions.row[notes[i]]),
                note_str=predictions.note_str[notes[i]],
                true_probability=float(true[i]),
                other=families[other[i]],
                other_probability=float(probabilities[i, other[i]]),
            )
            for i in order[:NUM_PICKS]
        ]
        num_notes = int(qualifies.sum())
        nearest = picks[0] if picks and num_notes == 0 else None
        return Cell(rule, num_notes, tuple(picks[:num_notes]), nearest)

    return (
        cell("sure", true > SURE, np.argsort(-true, kind="stable")),
        cell("missed", true < MISSED, np.argsort(true, kind="stable")),
        # lexsort: by side first, by distance within it, and stable.
        cell("ahead", won & (distance < SLIGHT), np.lexsort((distance, ~won))),
        cell("behind", ~won & (distance < SLIGHT), np.lexsort((distance, won))),
    )
