"""Notify a webhook of important events: JSON by POST, to an address that is a secret.

The address is never logged, shown or stored: anyone who knows it can post there.
"""

import json
import logging
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from threading import Thread
from typing import Any, Final
from urllib.parse import urlsplit

TIMEOUT_SEC: Final = 10.0

log = logging.getLogger(__name__)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the answer: to follow it is a GET of a page, without the message."""

    def redirect_request(self, *_: Any) -> None:
        """Return no further request, so that the redirect is an error with its code."""


def notify(url: str, message: Mapping[str, Any], *, timeout_sec: float = TIMEOUT_SEC) -> bool:
    """Post a message; log a warning if that fails, since the work itself is done.

    Args:
      url: of http or https; never repeated in what this function says.
      timeout_sec: for all of it, from the look-up of the name to the answer.

    Returns:
      Whether the server accepted it with a 2xx answer.
    """
    problems = ["there was no answer in time"]
    body = json.dumps(message).encode()

    def post() -> None:
        problems[:] = _post(url, body, timeout_sec=timeout_sec)

    # A socket's timeout is of each read, and a server may answer a byte at a time. A thread that
    # is left waiting ends with the process.
    thread = Thread(target=post, daemon=True)
    thread.start()
    thread.join(timeout_sec)
    for problem in tuple(problems):
        log.warning("the webhook did not hear of it: %s; the work itself is done", problem)
        return False
    return True


def _post(url: str, body: bytes, *, timeout_sec: float) -> list[str]:
    """Post a body of JSON; return why it was not taken, nothing where it was."""
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            return ["its address must begin with http:// or https://"]
        # Not by httpx, which logs each address that it asks.
        request = urllib.request.Request(  # noqa: S310 # the scheme is looked at above
            url,
            data=body,
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout_sec):
            return []
    except (OSError, HTTPException, ValueError) as err:
        # The error's own words may hold the address.
        code = getattr(err, "code", None)
        if code and 300 <= code < 400:
            return [f"it answered {code}, a redirect; set the address that it leads to"]
        return [f"it answered {code}" if code else type(err).__name__]
