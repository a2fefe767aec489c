"""Check of a Prefect server that the user names, made before any work."""

import os
from typing import Final
from urllib.parse import urlsplit

import httpx
from prefect.client.orchestration import get_client
from prefect.context import SettingsContext
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from pipelines.errors import ConfigError

# A busy server is slow to answer, but its machine accepts a connection at once.
_TIMEOUT: Final = httpx.Timeout(30, connect=10)


def check_server(context: SettingsContext) -> None:
    """Make the requests that a run will make first.

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
            get_client(sync_client=True, httpx_settings={"timeout": _TIMEOUT}) as client,
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


def _source(context: SettingsContext) -> str:
    """Return the name of the setting that gives the URL."""
    if os.environ.get("PREFECT_API_URL"):
        return "the variable PREFECT_API_URL"
    if PREFECT_API_URL in context.profile.settings:
        return f"the profile {context.profile.name!r} in {context.settings.profiles_path}"
    return "prefect.toml, pyproject.toml or .env in this folder"
