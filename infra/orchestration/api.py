"""The few words of a Prefect server's REST interface that a set-up needs."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from pipelines.errors import ConfigError

_ATTEMPTS: Final = 5


class Api:
    """A Prefect server, by its PREFECT_API_URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=f"{url.rstrip('/')}/", timeout=30)

    def is_healthy(self) -> bool:
        """Whether it answers."""
        try:
            return self._http.get("health").is_success
        except httpx.HTTPError:
            return False

    def get(self, path: str) -> Any:
        """What is at a path, None if nothing is."""
        return self._ask("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Makes something, or asks by a filter."""
        return self._ask("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        """Replaces something."""
        self._ask("PUT", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> None:
        """Changes something."""
        self._ask("PATCH", path, body)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        for attempt in range(_ATTEMPTS):
            answer = self._http.request(method, path, json=body)
            # So a server answers whose database is locked.
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(attempt + 1)
        if method == "GET" and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if not answer.is_success:
            raise ConfigError(
                f"the server at {self.url} refused {method} {path}: {answer.text[:300]}"
            )
        return answer.json() if answer.content else None


def wait_for(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Whether something comes to hold within a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.2)
    return holds()
