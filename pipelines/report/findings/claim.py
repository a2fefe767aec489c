"""What a page says about one finding of the reference report, as a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["confirmed", "contradicted", "undecided"]

Place = Literal[
    "result",
    "data",
    "note",
    "architectures",
    "training",
    "evaluation",
    "features",
    "cost",
    "notes",
    "provenance",
]
"""A section of the page or a part of one, by its id."""


@dataclass(frozen=True)
class Effect:
    """A measured figure.

    Attributes:
      interval: of 95 %, in words; a dash where there is none.
    """

    name: str
    value: str
    interval: str


@dataclass(frozen=True)
class Claim:
    """A finding of the reference report, and what one run says of it.

    Attributes:
      finding: in this project's words.
      rule: how the verdict follows from the effects.
      rests_on: sections of the page that show what it was decided by, and what of each.
      left_open: what the run cannot tell, and what would; may be empty.
    """

    finding: str
    verdict: Verdict
    effects: Sequence[Effect]
    rule: str
    rests_on: Sequence[tuple[Place, str]]
    left_open: str = ""
