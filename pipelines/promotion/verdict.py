"""The rule of promotion: two models on the held-out notes, and which of them is to be champion.

Pure, and of the held-out notes alone: what the models predict for the test notes plays no part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipelines.errors import ConfigError
from pipelines.evaluate.bootstrap import Interval
from pipelines.evaluate.comparison import Comparison, Difference, compare
from pipelines.evaluate.predictions import Predictions
from pipelines.evaluate.scores import MIN_INSTRUMENTS, MIN_NOTES, score
from pipelines.validate.rules import RULES
from pipelines.validate.verdicts import Validation

MAX_FAMILY_LOSS: Final = 0.05
"""No family's accuracy may have fallen by more than this with the certainty of its interval."""

Outcome = Literal["promoted", "kept champion", "refused"]


@dataclass(frozen=True)
class Verdict:
    """What the rule says.

    Attributes:
      why: one sentence, with the figures.
      is_drop: whether the challenger is surely worse: its interval lies wholly below 0.
      figures: of the notes, by name; of both models where there were two.
    """

    outcome: Outcome
    why: str
    is_drop: bool
    figures: dict[str, Any]


def check_margin(margin: float) -> None:
    """Refuses a margin that is no difference of accuracies.

    Raises:
      ConfigError: it is not from 0 to below 1.
    """
    if not 0 <= margin < 1:
        raise ConfigError(f"margin must be from 0 to below 1, got {margin}")


def first_verdict(challenger: Predictions) -> Verdict:
    """The verdict where there is no champion to compare with."""
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
    """Whether the challenger takes the champion's place.

    It does where the 95 % interval of the difference in accuracy, which resamples instruments, lies
    above -margin, and no family's lies wholly below -`MAX_FAMILY_LOSS`.

    Raises:
      ConfigError: the two were not scored on the same notes, or the margin is none.
    """
    check_margin(margin)
    found = compare(champion, challenger)
    whole = found.every.figures["accuracy"]
    interval = ends(whole)
    is_drop = not found.every.too_few and interval[1] < 0
    shown = (
        f"the accuracy on the gate is {whole.second:.4f} where the champion's is "
        f"{whole.first:.4f}, {_signed(whole)}"
    )
    lost = _lost_families(found)
    if found.every.too_few:
        outcome: Outcome = "kept champion"
        why = (
            f"the gate's {found.every.num_notes:,} notes of {found.every.num_instruments:,} "
            f"instruments are too few to tell two models apart ({MIN_NOTES} and {MIN_INSTRUMENTS} "
            "are needed): after the first model only a hand can promote one"
        )
    elif interval[0] <= -margin:
        outcome, why = "kept champion", f"{shown}, which does not lie above {0 - margin:g}"
    elif lost:
        outcome = "kept champion"
        why = f"{shown}, but {', '.join(lost)} lost more than {100 * MAX_FAMILY_LOSS:g} points"
    else:
        outcome, why = "promoted", f"{shown}, which lies above {0 - margin:g}"
    return Verdict(outcome, why, is_drop=is_drop, figures=found.to_dict())


def ends(difference: Difference) -> Interval:
    """The interval; that of models which differ alike in every resample is a single point."""
    return difference.interval or (difference.difference, difference.difference)


def _lost_families(found: Comparison) -> list[str]:
    """The families that surely lost too much, each with its difference."""
    return [
        f"{family} ({_signed(of)})"
        for family, part in found.families.items()
        # A part of too few notes claims nothing.
        if not part.too_few
        for of in [part.figures["accuracy"]]
        if ends(of)[1] < -MAX_FAMILY_LOSS
    ]


def _signed(of: Difference) -> str:
    low, high = ends(of)
    return f"{of.difference:+.4f} ({low:+.4f} to {high:+.4f})"


MAX_RISE: Final = 0.01
"""By how much the share of defective notes or of damaged records may rise before it is said."""

_NO_DEFECTS: Final = frozenset({"synth_lead"})


def shares(validation: Validation) -> Mapping[str, float]:
    """The share of notes that rules dropped as defective, and of records that became no note."""
    defects = sum(
        num
        for reason, num in validation.dropped.items()
        if reason in RULES and reason not in _NO_DEFECTS
    )
    records = validation.num_seen + validation.num_quarantined
    return {
        "defective notes": defects / max(validation.num_seen, 1),
        "damaged records": validation.num_quarantined / max(records, 1),
    }


def data_alarms(
    champion: Mapping[str, Validation],
    challenger: Mapping[str, Validation],
    *,
    max_rise: float = MAX_RISE,
) -> list[str]:
    """What is worse with the challenger's data, a phrase each; empty where nothing is.

    Args:
      champion: verdicts by the part that a data set plays, as for the challenger.
    """
    return [
        f"{of} of the {part} data rose from {before[of]:.1%} to {share:.1%}"
        for part, validation in challenger.items()
        if part in champion
        for before in [shares(champion[part])]
        for of, share in shares(validation).items()
        if share - before[of] > max_rise
    ]
