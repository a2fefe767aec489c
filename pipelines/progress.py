"""How far a stage is: plain values that a stage hands to whoever shows them."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes:
      stage: what is being done, in words for people.
      detail: the latest figures, in words.
    """

    stage: str
    done: int
    total: int
    detail: str = ""


OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Shows nothing."""
