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

# The beginning of the name of a counter that is a line.
WARNING_PREFIX: Final = "said: "

_MAX_LINES: Final = 20
_MAX_CHARS: Final = 300


class WarningCollector(logging.Handler):
    """Collects the warnings of a worker.

    At most 20 lines, so that a store that keeps failing does not flood the metrics.
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


# The worker process's handler, shared by its concurrent ranges.
WARNINGS: Final = WarningCollector()


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
