"""The rule of promotion: which of two models becomes champion, by the held-out notes alone.

What the models predict for the test notes plays no part. Alarms on the data of a run are here too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipelines.errors import ConfigError
from pipelines.evaluate.bootstrap import Interval
from pipelines.evaluate.comparison import Comparison, Difference, compare
from pipelines.evaluate.predictions import Predictions
from pipelines.evaluate.scores import MIN_INSTRUMENTS, MIN_NOTES, score
from pipelines.validate.rules import is_defect
from pipelines.validate.verdicts import Validation

# A family's accuracy may not have fallen by more than this with the certainty of its interval.
MAX_FAMILY_LOSS: Final = 0.05

# The share of defective notes or of damaged records may rise by this without an alarm.
MAX_RISE: Final = 0.01

Outcome = Literal["promoted", "kept champion", "refused"]


@dataclass(frozen=True)
class Verdict:
    """The result of the rule.

    Attributes:
      why: one sentence, with the figures.
      is_drop: whether the challenger is surely worse: its interval is wholly below 0.
      figures: on the held-out notes, by name; of both models where there were two.
    """

    outcome: Outcome
    why: str
    is_drop: bool
    figures: dict[str, Any]


def check_margin(margin: float) -> None:
    """Refuse a margin that is not a difference of accuracies.

    Raises:
      ConfigError: it is not from 0 to below 1.
    """
    if not 0 <= margin < 1:
        raise ConfigError(f"margin must be from 0 to below 1, got {margin}")


def first_verdict(challenger: Predictions) -> Verdict:
    """Return the verdict where there is no champion to compare with."""
    scores = score(challenger)
    figures = {
        "num_notes": scores.num_scored,
        "num_instruments": scores.num_instruments,
        "accuracy": scores.accuracy,
        "interval": scores.intervals.get("accuracy"),
    }
    why = (
        f"there was no champion; its accuracy is {scores.accuracy:.4f} "
        f"on the {scores.num_scored:,} notes of the gate"
    )
    return Verdict("promoted", why, is_drop=False, figures=figures)


def judge(champion: Predictions, challenger: Predictions, *, margin: float = 0.0) -> Verdict:
    """Decide whether the challenger takes the champion's place.

    It does where the 95 % interval of the difference in accuracy, which resamples instruments, is
    above -margin, and no family's is wholly below -`MAX_FAMILY_LOSS`.

    Raises:
      ConfigError: the two were not scored on the same notes, or the margin is not one.
    """
    check_margin(margin)
    comparison = compare(champion, challenger)
    every, accuracy = comparison.every, comparison.every.figures["accuracy"]
    low, high = _interval(accuracy)
    sentence = (
        f"the accuracy on the gate is {accuracy.second:.4f} where the champion's is "
        f"{accuracy.first:.4f}, {_signed(accuracy)}"
    )
    outcome: Outcome = "kept champion"
    if every.too_few:
        why = (
            f"the gate's {every.num_notes:,} notes of {every.num_instruments:,} "
            f"instruments are too few to tell two models apart ({MIN_NOTES} and {MIN_INSTRUMENTS} "
            "are needed): after the first model only a hand can promote one"
        )
    elif low <= -margin:
        why = f"{sentence}, which does not lie above {0 - margin:g}"
    elif lost := _lost_families(comparison):
        why = f"{sentence}, but {', '.join(lost)} lost more than {100 * MAX_FAMILY_LOSS:g} points"
    else:
        outcome, why = "promoted", f"{sentence}, which lies above {0 - margin:g}"
    is_drop = not every.too_few and high < 0
    return Verdict(outcome, why, is_drop=is_drop, figures=comparison.to_dict())


def _interval(difference: Difference) -> Interval:
    """Return the interval; a single point where models differ alike in every resample."""
    return difference.interval or (difference.difference, difference.difference)


def _lost_families(comparison: Comparison) -> list[str]:
    """Return the families that surely lost too much, each with its difference."""
    accuracies = {
        family: part.figures["accuracy"]
        for family, part in comparison.families.items()
        # A part of too few notes claims nothing.
        if not part.too_few
    }
    return [
        f"{family} ({_signed(accuracy)})"
        for family, accuracy in accuracies.items()
        if _interval(accuracy)[1] < -MAX_FAMILY_LOSS
    ]


def _signed(difference: Difference) -> str:
    low, high = _interval(difference)
    return f"{difference.difference:+.4f} ({low:+.4f} to {high:+.4f})"


def num_defects(validation: Validation) -> int:
    """Return the number of notes that were dropped as defective, not by plan."""
    return sum(num for reason, num in validation.dropped.items() if is_defect(reason))


def damage_shares(validation: Validation) -> Mapping[str, float]:
    """Return the shares of defective notes and of records that became no note."""
    records = validation.num_seen + validation.num_quarantined
    return {
        "defective notes": num_defects(validation) / max(validation.num_seen, 1),
        "damaged records": validation.num_quarantined / max(records, 1),
    }


def data_alarms(
    champion: Mapping[str, Validation], challenger: Mapping[str, Validation]
) -> list[str]:
    """Return what is worse with the challenger's data, one phrase each.

    Args:
      champion: its data sets by the part that each plays, as for the challenger.
    """
    alarms = []
    for part in (part for part in challenger if part in champion):
        before = damage_shares(champion[part])
        for name, share in damage_shares(challenger[part]).items():
            if share - before[name] > MAX_RISE:
                alarms.append(
                    f"{name} of the {part} data rose from {before[name]:.1%} to {share:.1%}"
                )
    return alarms
