"""The Prefect server of a run: the user's own, checked before any work, or a temporary one.

Start it before the flows are imported, since Prefect sets up its log at import.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from flows.temporary_server import START_SEC, TemporaryServer
from infra.prefect_settings import read_settings
from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from prefect.settings import Settings

_DATABASE: Final = {"connection_url", "driver", "host", "name"}
_QUIET: Final = {
    # The command itself reports a failure once, in one sentence.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
}


class PrefectServer:
    """The server that records the runs of this process."""

    def __init__(self) -> None:
        """Do nothing yet; `stop` may be called from here on."""
        self._start_sec: float = START_SEC
        self._temporary: TemporaryServer | None = None

    def start(self) -> None:
        """Check the server that the user's settings name; without one, start a temporary one.

        Raises:
          ConfigError: Prefect's settings are wrong, or name a server that cannot be used.
        """
        context = read_settings()
        if context.settings.api.url:
            from infra.prefect_server import check_server  # noqa: PLC0415 - Prefect costs a second

            check_server(context)
        else:
            self._start_temporary(context.settings)

    def wait(self, *, on_loss: Callable[[str], None]) -> None:
        """Wait until the server answers.

        Args:
          on_loss: called from a thread, with the reason, when a temporary one ends before `stop`.

        Raises:
          ConfigError: a temporary one does not come up.
        """
        if self._temporary is not None:
            self._temporary.wait(seconds=self._start_sec, on_loss=on_loss)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Run the block, whose flow runs the server records.

        Raises:
          OSError: the server was lost, and did not come back while Prefect waited for it.
        """
        # Cheap here, since `start` has imported Prefect.
        import httpx  # noqa: PLC0415

        from infra.prefect_server import public_url, reason  # noqa: PLC0415

        try:
            yield
        except (httpx.HTTPError, RuntimeError) as err:
            # Prefect says "Failed to reach API" in a RuntimeError.
            if not any(isinstance(cause, httpx.HTTPError) for cause in (err, err.__cause__)):
                raise
            url = public_url(os.environ.get("PREFECT_API_URL", ""))
            raise OSError(f"the Prefect server {url} was lost: {reason(err)}") from err

    def stop(self) -> None:
        """End a temporary server at once; another one is left alone."""
        if self._temporary is not None:
            self._temporary.stop()

    def _start_temporary(self, settings: "Settings") -> None:
        from prefect.context import refresh_global_settings_context  # noqa: PLC0415 - as below

        ephemeral = settings.server.ephemeral
        if "enabled" in ephemeral.model_fields_set and not ephemeral.enabled:
            raise ConfigError(
                "there is no Prefect server: PREFECT_API_URL is not set, and "
                "PREFECT_SERVER_EPHEMERAL_ENABLED is false; set the one, or the other to true"
            )
        if "startup_timeout_seconds" in ephemeral.model_fields_set:
            self._start_sec = ephemeral.startup_timeout_seconds
        # A profile belongs to the user's PREFECT_HOME, which the run may replace.
        run_env = {
            **_QUIET,
            **os.environ,
            **settings.to_environment_variables(exclude_unset=True),
        }
        run_env.pop("PREFECT_PROFILE", None)
        self._temporary = TemporaryServer()
        client_env = self._temporary.start(
            run_env,
            has_database=bool(os.environ.get("PREFECT_HOME"))
            or bool(_DATABASE & settings.server.database.model_fields_set),
            base_path=settings.server.api.base_path or "/api",
        )
        os.environ.pop("PREFECT_PROFILE", None)
        os.environ.update({**run_env, **client_env})
        refresh_global_settings_context()
