"""Connect to a Prefect server; each failure is one sentence that says what to do."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import SettingsContext
from prefect.exceptions import ObjectNotFound
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)
from pydantic import ValidationError

from pipelines.errors import ConfigError
from pipelines.loopback import bypass_proxies

# A busy server is slow to answer, but its machine accepts a connection at once.
_TIMEOUT: Final = httpx.Timeout(30, connect=10)

# A server whose database is locked answers 503; the waits between attempts are 2, 4 and 8 s.
_RETRIES: Final = 3


@contextmanager
def connect(url: str, auth: str = "") -> Iterator[SyncPrefectClient]:
    """Yield a client of one server, whatever Prefect's settings say.

    Args:
      url: its PREFECT_API_URL.
      auth: its PREFECT_API_AUTH_STRING, empty where it has none.

    Raises:
      ConfigError: the URL is not valid, or a request of the block fails.
    """
    try:
        urlsplit(url)
    except ValueError as err:
        raise ConfigError(f"PREFECT_API_URL is not a URL: {err}") from err
    bypass_proxies()
    settings = {
        PREFECT_API_URL: url,
        PREFECT_API_AUTH_STRING: auth or None,
        PREFECT_API_KEY: None,
        PREFECT_CLIENT_MAX_RETRIES: _RETRIES,
    }
    try:
        with (
            temporary_settings(settings),
            get_client(httpx_settings={"timeout": _TIMEOUT}, sync_client=True) as client,
        ):
            yield client
    except ObjectNotFound as err:
        raise ConfigError(_failure(err.http_exc, url)) from err
    except (httpx.HTTPError, httpx.InvalidURL, ValidationError, json.JSONDecodeError) as err:
        raise ConfigError(_failure(err, url)) from err


def is_healthy(url: str) -> bool:
    """Return whether a server answers; it needs no password for that."""
    bypass_proxies()
    try:
        return httpx.get(f"{url}/health", timeout=_TIMEOUT).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def check_server(context: SettingsContext) -> None:
    """Make the requests that a run will make first to the server of the user's settings.

    Raises:
      ConfigError: its URL is not valid, or it does not answer, refuses access, or has another
        version.
    """
    url, source = public_url(str(context.settings.api.url)), _source(context)
    place = urlsplit(url)
    if place.scheme not in ("http", "https") or not place.hostname:
        raise ConfigError(
            f"expected the URL of a Prefect server, such as http://127.0.0.1:4200/api, got {url!r} "
            f"from {source}; correct it, or remove it to run with a temporary server"
        )
    try:
        with (
            # During a run Prefect waits for a server that is restarted; this one was never reached.
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
            get_client(httpx_settings={"timeout": _TIMEOUT}, sync_client=True) as client,
        ):
            client.raise_for_api_version_mismatch()
            client.read_flows(limit=1)
    except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, ValueError, OSError) as err:
        raise ConfigError(
            f"the Prefect server at {url}, from {source}, cannot be used: {reason(err)}; start it "
            "or correct the URL, or remove it to run with a temporary server"
        ) from err


def public_url(url: str) -> str:
    """Return a URL without the parts that may be secret."""
    place = urlsplit(url)
    return place._replace(netloc=place.netloc.rpartition("@")[2], query="", fragment="").geturl()


def reason(err: BaseException) -> str:
    """Return in a few words why a server cannot be used."""
    # Prefect says "Failed to reach API" for each of them.
    cause = err.__cause__ if isinstance(err, RuntimeError) and err.__cause__ else err
    if isinstance(cause, httpx.HTTPStatusError):
        status, path = cause.response.status_code, cause.request.url.path
        if status == httpx.codes.UNAUTHORIZED:
            return "it wants a password (401), which PREFECT_API_AUTH_STRING gives as USER:PASSWORD"
        return f"it answers {status} to {path}"
    if isinstance(cause, httpx.TimeoutException):
        return "it does not answer in time"
    if isinstance(cause, ValueError | TypeError):
        return "its answer is not that of a Prefect server"
    return str(cause) or type(cause).__name__


def _failure(err: Exception, url: str) -> str:
    """Return what went wrong with a request to the server of `make up` or of a container."""
    server = public_url(url)
    if isinstance(err, httpx.HTTPStatusError):
        if err.response.status_code == httpx.codes.UNAUTHORIZED:
            return (
                f"the server at {server} asks for another password; set PREFECT_API_AUTH_STRING "
                "to what PREFECT_SERVER_API_AUTH_STRING is there"
            )
        request = f"{err.request.method} {err.request.url.path}"
        return f"the server at {server} refused {request}: {err.response.text[:300]}"
    if isinstance(err, httpx.HTTPError):
        return (
            f"the server at {server} does not answer: {reason(err)}; check that it runs, and "
            "PREFECT_API_URL"
        )
    if isinstance(err, httpx.InvalidURL):
        return f"PREFECT_API_URL is not a URL: {err}"
    return f"what answers at {server} is not a Prefect server; check PREFECT_API_URL"


def _source(context: SettingsContext) -> str:
    """Return the name of the setting that gives the URL."""
    if os.environ.get("PREFECT_API_URL"):
        return "the variable PREFECT_API_URL"
    if PREFECT_API_URL in context.profile.settings:
        return f"the profile {context.profile.name!r} in {context.settings.profiles_path}"
    return "prefect.toml, pyproject.toml or .env in this folder"
