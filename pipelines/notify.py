"""A webhook that hears of what nobody may overlook: JSON by POST, to an address that is a secret.

The address is never logged, shown or stored: whoever knows it can post there.
"""

import json
import logging
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

TIMEOUT_SEC: Final = 10.0

log = logging.getLogger(__name__)


def notify(url: str, message: Mapping[str, Any], *, timeout_sec: float = TIMEOUT_SEC) -> bool:
    """Posts a message; one that cannot be is a warning, since the work itself is done.

    Args:
      url: of http or https; never repeated in what this function says.

    Returns:
      Whether the server took it.
    """
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            log.warning(
                "the webhook hears nothing: its address must begin with http:// or https://"
            )
            return False
        # Not by httpx, which logs each address that it asks.
        request = urllib.request.Request(  # noqa: S310 # the scheme is looked at above
            url,
            data=json.dumps(message).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=timeout_sec):  # noqa: S310 # as above
            return True
    except (OSError, HTTPException, ValueError) as err:
        # The error's own words may hold the address.
        code = getattr(err, "code", None)
        what = f"it answered {code}" if code else type(err).__name__
        log.warning("the webhook did not hear of it: %s; the work itself is done", what)
        return False
