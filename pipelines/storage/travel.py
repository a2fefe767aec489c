"""What a worker elsewhere needs to know of the storage, and what must not travel to it."""

import os
from collections.abc import Mapping
from typing import Final

TRAVELS: Final = (
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
"""Variables that say where and how; those that say who are the worker's own."""


def carried() -> Mapping[str, str]:
    """The settings of this process, without a secret."""
    return {name: os.environ[name] for name in TRAVELS if os.environ.get(name)}


def adopt(settings: Mapping[str, str]) -> None:
    """Takes another process's settings where this one has none of its own.

    A worker's own win: seen from there, the same server may have another address.
    """
    for name in TRAVELS:
        if name in settings:
            os.environ.setdefault(name, settings[name])
