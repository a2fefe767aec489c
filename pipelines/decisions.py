"""Decisions of the stages: whether each ran, resumed, or reused what is stored, and why.

Each is one sentence, which is logged and collected for the summaries of a run.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Action = Literal["ran", "resumed", "reused", "promoted", "kept champion", "refused"]


@dataclass(frozen=True)
class Decision:
    """One decision of a stage.

    Attributes:
      stage: its name, such as "convert".
      subject: what it was about: a source, a model, a run.
      why: the sentence of the log.
    """

    stage: str
    subject: str
    action: Action
    why: str


_COLLECTED: ContextVar[list[Decision] | None] = ContextVar("collected", default=None)


def record_decision(
    log: logging.Logger, stage: str, subject: str, action: Action, why: str
) -> None:
    """Log a decision with the logger of the deciding module, and add it to the collection."""
    log.info(why)
    collected = _COLLECTED.get()
    if collected is not None:
        collected.append(Decision(stage, subject, action, why))


@contextmanager
def collect_decisions() -> Iterator[list[Decision]]:
    """Collect decisions recorded in this block; enclosing collectors receive them too.

    Threads that copy the context of the block are included.

    Yields:
      The decisions so far, in their order.
    """
    decisions: list[Decision] = []
    outer, token = _COLLECTED.get(), _COLLECTED.set(decisions)
    try:
        yield decisions
    finally:
        _COLLECTED.reset(token)
        if outer is not None:
            outer.extend(decisions)
