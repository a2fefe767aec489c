"""The only retry of storage: a few attempts, in waits that double and differ by chance."""

import logging
import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from pipelines.storage.failures import in_short, is_misuse, lasting, may_pass, misused
from pipelines.storage.settings import settings

_MAX_WAIT_SEC: Final = 30.0

log = logging.getLogger(__name__)

T = TypeVar("T")


def retried(uri: str, call: Callable[[], T], *, again: Callable[[], T] | None = None) -> T:
    """Calls until it succeeds, or fails in a way that does not pass.

    Args:
      uri: what the call is about, for messages.
      call: the first attempt.
      again: each later one, where that differs: a write first looks whether it has arrived.

    Raises:
      ConfigError: the call makes no sense to the library below.
      OSError: it failed at each attempt.
    """
    given = settings()
    attempt = 0
    while True:
        attempt += 1
        try:
            return call() if attempt == 1 or again is None else again()
        except Exception as err:
            if is_misuse(err) and not may_pass(err):
                raise misused(uri, err) from err
            if not may_pass(err):
                raise
            if attempt >= given.attempts:
                raise lasting(uri, err, attempts=attempt) from err
            wait_sec = _wait_sec(attempt, given.wait_sec)
            log.warning("%s: %s; trying again in %.1f s", uri, in_short(err), wait_sec)
        time.sleep(wait_sec)


def _wait_sec(attempt: int, first_sec: float) -> float:
    """Seconds behind an attempt: workers that failed together do not come back together."""
    full = min(first_sec * 2.0 ** (attempt - 1), _MAX_WAIT_SEC)
    return full * random.uniform(0.5, 1)  # noqa: S311 - it spreads load and guards nothing
