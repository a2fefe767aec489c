"""How gcsfs is told to behave as the other stores do; nothing here imports it, few have it."""

import logging
import os
from types import MethodType
from typing import Any, Final

_PROTOCOLS: Final = ("gs", "gcs")


def is_google(uri: str) -> bool:
    """Whether a location is in Google Cloud Storage."""
    return uri.partition("://")[0] in _PROTOCOLS


def google_options() -> dict[str, Any]:
    """What its filesystem is made with; to be called before gcsfs is imported."""
    # Otherwise every call asks a second service, by gRPC, of what kind the bucket is.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # What fails is raised as well, and said in one sentence; it logs the traceback.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    # A cached listing hides the shards that other processes write.
    options: dict[str, Any] = {"use_listings_cache": False}
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        # Emulators ask nobody who they are, and looking for credentials takes seconds.
        options["token"] = "anon"  # noqa: S105 - it means none
    return options


def without_retries(fs: Any) -> None:
    """Has each request sent once: gcsfs would send six, behind each attempt of ours."""
    once = getattr(type(fs)._request, "__wrapped__", None)
    if once is not None:
        fs._request = MethodType(once, fs)
