"""Whether the data of a run are in a worse state than those of the champion's run."""

from collections.abc import Mapping
from typing import Final

from pipelines.validate.rules import RULES
from pipelines.validate.verdicts import Validation

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


def health_drops(
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
