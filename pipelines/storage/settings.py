"""Settings of storage, read from the environment at each call, and those forwarded to workers.

Credentials are never forwarded.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pipelines.errors import ConfigError

_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]+")

# Endpoints and patience; credentials are the worker's own.
FORWARDED_VARIABLES: Final = (
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "NSYNTH_S3_ANONYMOUS",
    "NSYNTH_STORAGE_ATTEMPTS",
    "NSYNTH_STORAGE_TIMEOUT_SEC",
    "NSYNTH_STORAGE_WAIT_SEC",
    "STORAGE_EMULATOR_HOST",
)


@dataclass(frozen=True)
class Settings:
    """Number of attempts on a remote store and how long to wait for it.

    Attributes:
      attempts: NSYNTH_STORAGE_ATTEMPTS; includes the first.
      wait_sec: NSYNTH_STORAGE_WAIT_SEC; before the second attempt, and twice as long each time.
      timeout_sec: NSYNTH_STORAGE_TIMEOUT_SEC; without a byte from the server.
    """

    attempts: int
    wait_sec: float
    timeout_sec: float


def settings() -> Settings:
    """Return the present settings.

    Raises:
      ConfigError: one is not a number, or too small.
    """
    return Settings(
        attempts=int(_number("NSYNTH_STORAGE_ATTEMPTS", 6, at_least=1)),
        wait_sec=_number("NSYNTH_STORAGE_WAIT_SEC", 0.5, at_least=0),
        timeout_sec=_number("NSYNTH_STORAGE_TIMEOUT_SEC", 30, at_least=0.1),
    )


def is_anonymous(bucket: str) -> bool:
    """Return whether NSYNTH_S3_ANONYMOUS names a bucket of S3, or is `*`: no credentials then.

    Raises:
      ConfigError: the variable is not a list of bucket names separated by commas.
    """
    named = {part.strip() for part in os.environ.get("NSYNTH_S3_ANONYMOUS", "").split(",")} - {""}
    if wrong := sorted(part for part in named if part != "*" and not _BUCKET.fullmatch(part)):
        raise ConfigError(
            "NSYNTH_S3_ANONYMOUS takes names of buckets with commas between, or * for all, "
            f"got {wrong[0]!r}"
        )
    return not named.isdisjoint({"*", bucket})


def _number(name: str, default: float, *, at_least: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    # NaN compares to nothing, and nobody means to wait infinitely.
    if not at_least <= number < 1e6:
        raise ConfigError(f"{name} must be a number of at least {at_least:g}, got {text!r}")
    return number


def settings_to_forward() -> Mapping[str, str]:
    """Return the settings of this process, without secrets."""
    return {name: os.environ[name] for name in FORWARDED_VARIABLES if os.environ.get(name)}


def apply_forwarded(settings: Mapping[str, str]) -> None:
    """Adopt another process's settings where this one has none of its own.

    A worker's own win: seen from there, the same server may have another address.
    """
    for name in FORWARDED_VARIABLES:
        if name in settings:
            os.environ.setdefault(name, settings[name])
