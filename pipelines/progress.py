"""Progress of a stage: plain values passed to a callback of the caller."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """The progress of a stage.

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
    """Ignore the progress."""
