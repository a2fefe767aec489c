"""What a worker that is another process than the submitter tells it.

No two engines hand log lines on in one way. Counters all of them do, so a line is the name of one.
"""

import logging
import os
import socket
from typing import Final

SAID: Final = "said: "
"""What the name of a counter begins with that is a line."""

_MAX_LINES: Final = 20
_MAX_CHARS: Final = 300


class Listener(logging.Handler):
    """Keeps what a worker warns of, until it is taken.

    There are not many lines, lest a store that fails all day makes a metric of each attempt.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: list[str] = []
        self._left = _MAX_LINES

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a line."""
        if self._left:
            self._left -= 1
            self._lines.append(record.getMessage()[:_MAX_CHARS])

    def taken(self) -> list[str]:
        """The lines since the last call, as the names of counters."""
        lines, self._lines = self._lines, []
        return [SAID + line for line in lines]


LISTENER: Final = Listener()
"""The one of a worker, which may convert several ranges at a time."""


def this_process() -> tuple[str, int]:
    """What tells this process from any other, on whatever machine."""
    return socket.gethostname(), os.getpid()
