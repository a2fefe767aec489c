"""A small client of a Prefect server's REST interface, for its set-up."""

import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from infra.orchestration.settings import CLIENT_AUTH, SERVER_AUTH
from pipelines.errors import ConfigError

LOOPBACK: Final = ("127.0.0.1", "localhost")

_ATTEMPTS: Final = 5


class Api:
    """A Prefect server, by its PREFECT_API_URL and its PREFECT_API_AUTH_STRING.

    Raises:
      ConfigError: the URL cannot be parsed.
    """

    def __init__(self, url: str, auth: str = "") -> None:
        self.url = url
        token = b64encode(auth.encode()).decode()
        try:
            self._http = httpx.Client(
                base_url=f"{url.rstrip('/')}/",
                timeout=30,
                headers={"Authorization": f"Basic {token}"} if auth else {},
                # A proxy of the environment cannot reach a server of this machine.
                mounts={f"all://{host}": None for host in LOOPBACK},
            )
        except httpx.InvalidURL as err:
            raise ConfigError(f"PREFECT_API_URL is not a URL: {err}") from err

    def is_healthy(self) -> bool:
        """Return whether the server answers."""
        try:
            return self._http.get("health").is_success
        except httpx.HTTPError:
            return False

    def get(self, path: str) -> Any:
        """Return what is at a path, None if nothing is."""
        return self._ask("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create something, or query by a filter."""
        return self._ask("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        """Replace something."""
        self._ask("PUT", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> None:
        """Change something."""
        self._ask("PATCH", path, body)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        for attempt in range(_ATTEMPTS):
            answer = self._request(method, path, body)
            # A server whose database is locked answers so.
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(attempt + 1)
        if method == "GET" and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise ConfigError(
                f"the server at {self.url} asks for another password; set {CLIENT_AUTH} to what "
                f"{SERVER_AUTH} is there"
            )
        if not answer.is_success:
            raise ConfigError(
                f"the server at {self.url} refused {method} {path}: {answer.text[:300]}"
            )
        try:
            return answer.json() if answer.content else None
        except ValueError as err:
            raise ConfigError(
                f"what answers at {self.url} is not a Prefect server: its answer to {method} "
                f"{path} is not JSON; check PREFECT_API_URL"
            ) from err

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        try:
            return self._http.request(method, path, json=body)
        except httpx.HTTPError as err:
            raise ConfigError(
                f"the server at {self.url} does not answer {method} {path}: "
                f"{str(err) or type(err).__name__}; check that it runs, and PREFECT_API_URL"
            ) from err


def wait_for(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Return whether a condition becomes true within a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.2)
    return holds()
