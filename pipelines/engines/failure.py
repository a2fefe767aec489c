"""What a worker raised, told from the text that an engine makes of it."""

import re
from typing import Any

from pipelines import errors
from pipelines.engines.engine import Engine
from pipelines.errors import PipelineError


def as_raised(text: str, engine: Engine) -> Exception:
    """The error of a worker as it was, or an OSError of the engine's own last words.

    Args:
      text: what the engine gave: a traceback, or several in each other.
    """
    lines = text.strip().splitlines() or ["it does not say why"]
    for line in reversed(lines):
        match = re.search(r"pipelines\.errors\.(\w+): (.*?)(?: \[while running.*)?$", line)
        if match and issubclass(kind := getattr(errors, match[1], Exception), PipelineError):
            return kind(match[2])
    return OSError(f"the engine {engine.name} failed: {in_a_line(lines[-1])}")


def of_grpc(err: Any) -> str:
    """What a failed remote call says, in a line."""
    details = err.details() if hasattr(err, "details") else ""
    return in_a_line(str(details or err))


def in_a_line(text: str) -> str:
    """A text that may be of several lines, and long."""
    return " ".join(text.split())[:400]
