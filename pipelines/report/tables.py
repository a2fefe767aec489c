"""Rows of the report's tables that take more than a look-up."""

from collections.abc import Iterable, Mapping, Sequence

from pipelines.evaluate.scores import Scores
from pipelines.experiment import Experiment
from pipelines.report.formats import plain
from pipelines.validate.verdicts import Validation

Row = tuple[str, Sequence[int]]
"""A name, and a number a data set."""


def count_rows(datasets: Mapping[str, Validation]) -> list[Row]:
    """Notes seen, dropped by reason, and kept; then the records that never became notes."""
    sets = datasets.values()
    return [
        ("notes seen", [d.num_seen for d in sets]),
        *_rows("dropped: ", [d.dropped for d in sets]),
        ("notes kept", [d.num_kept for d in sets]),
        ("records quarantined", [d.num_quarantined for d in sets]),
    ]


def family_rows(datasets: Mapping[str, Validation]) -> list[Row]:
    """Kept notes by family."""
    return _rows("", [d.families for d in datasets.values()])


def most_confused(
    scores: Scores, families: Sequence[str], *, num: int = 5
) -> list[tuple[str, str, int, float]]:
    """The pairs that a model confuses most: true family, predicted one, notes, share of the true.

    Args:
      num: pairs at most; none has no note.
    """
    pairs = [
        (families[true], families[predicted], number, number / sum(row))
        for true, row in enumerate(scores.confusion_matrix)
        for predicted, number in enumerate(row)
        if number and true != predicted
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:num]


def parameter_rows(experiment: Experiment) -> list[tuple[str, str]]:
    """Each parameter and its value in text."""
    return [(name, plain(value)) for name, value in experiment.to_dict().items()]


def _rows(prefix: str, counts: Sequence[Mapping[str, int]]) -> list[Row]:
    """A row a name that any data set has, by first appearance; who has it not counted none."""
    names: Iterable[str] = dict.fromkeys(name for of in counts for name in of)
    return [(prefix + name, [of.get(name, 0) for of in counts]) for name in names]
