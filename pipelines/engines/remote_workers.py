"""Warnings and errors that worker processes return to the submitter.

Engines pass log lines on in different ways, or not at all. All of them return counters, so a
warning travels as the name of a counter.
"""

import logging
import os
import re
import socket
from typing import Any, Final

from pipelines import errors
from pipelines.engines.engine import Engine
from pipelines.errors import PipelineError

WARNING_PREFIX: Final = "said: "
"""What the name of a counter begins with that is a line."""

_MAX_LINES: Final = 20
_MAX_CHARS: Final = 300


class WarningCollector(logging.Handler):
    """Keeps what a worker warns of, until it is take.

    There are not many lines, lest a store that fails all day makes a metric of each attempt.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: list[str] = []
        self._left = _MAX_LINES

    def emit(self, record: logging.LogRecord) -> None:
        """Collect one line."""
        if self._left:
            self._left -= 1
            self._lines.append(record.getMessage()[:_MAX_CHARS])

    def take(self) -> list[str]:
        """Return the lines since the last call, as names of counters."""
        lines, self._lines = self._lines, []
        return [WARNING_PREFIX + line for line in lines]


WARNINGS: Final = WarningCollector()
"""The one of a worker, which may convert several ranges at a time."""


def process_identity() -> tuple[str, int]:
    """Return host name and process id, which identify a process on any machine."""
    return socket.gethostname(), os.getpid()


def parse_worker_error(text: str, engine: Engine) -> Exception:
    """Return the error that a worker raised, or an OSError with the engine's last line.

    Args:
      text: the engine's message: a traceback, or nested ones.
    """
    lines = text.strip().splitlines() or ["it does not say why"]
    for line in reversed(lines):
        match = re.search(r"pipelines\.errors\.(\w+): (.*?)(?: \[while running.*)?$", line)
        if match and issubclass(kind := getattr(errors, match[1], Exception), PipelineError):
            return kind(match[2])
    return OSError(f"the engine {engine.name} failed: {one_line(lines[-1])}")


def grpc_message(err: Any) -> str:
    """Return the message of a failed gRPC call in one line."""
    details = err.details() if hasattr(err, "details") else ""
    return one_line(str(details or err))


def one_line(text: str) -> str:
    """Return a text of several lines as one line of at most 400 characters."""
    return " ".join(text.split())[:400]
