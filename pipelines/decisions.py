"""Why a stage ran, went on or was left out: one sentence, logged and heard by whoever shows it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Action = Literal["ran", "resumed", "reused", "promoted", "kept champion", "refused"]


@dataclass(frozen=True)
class Decision:
    """What a stage did.

    Attributes:
      stage: its name, such as "convert".
      subject: what it was about: a source, a model, a run.
      why: the sentence of the log.
    """

    stage: str
    subject: str
    action: Action
    why: str


_HEARD: ContextVar[list[Decision] | None] = ContextVar("heard", default=None)


def decided(log: logging.Logger, stage: str, subject: str, action: Action, why: str) -> None:
    """Says what a stage does; `log` is that of the module which decided it."""
    log.info(why)
    heard = _HEARD.get()
    if heard is not None:
        heard.append(Decision(stage, subject, action, why))


@contextmanager
def heard() -> Iterator[list[Decision]]:
    """Hears what is decided until the block ends, in this thread and those that copy its context.

    A block around it hears the same.

    Yields:
      The decisions so far, in their order.
    """
    decisions: list[Decision] = []
    outer, token = _HEARD.get(), _HEARD.set(decisions)
    try:
        yield decisions
    finally:
        _HEARD.reset(token)
        if outer is not None:
            outer.extend(decisions)
