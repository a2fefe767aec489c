"""The Prefect server of a run: the user's own, asked before any work, or a temporary one.

Must come before the flows are imported: Prefect sets up its log when they are.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from flows.temporary_server import START_SEC, TemporaryServer
from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from prefect.context import SettingsContext
    from prefect.settings import Settings

_DATABASE: Final = {"connection_url", "driver", "host", "name"}
_PRIVATE: Final = {
    # Nothing about our users goes anywhere.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
_PLACES: Final = (
    "they come from the variables PREFECT_*, from profiles.toml in PREFECT_HOME (by default "
    "~/.prefect), and from prefect.toml, pyproject.toml or .env in this folder"
)
_QUIET: Final = {
    # What failed is said once, in a sentence, by the command itself.
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
}


class PrefectServer:
    """The server that records the runs of this process."""

    def __init__(self) -> None:
        """Do nothing yet; `stop` holds from here on."""
        self._start_sec: float = START_SEC
        self._temporary: TemporaryServer | None = None

    def start(self) -> None:
        """Check the server that the user's settings name; without one, start a temporary one.

        Raises:
          ConfigError: Prefect's settings are wrong, or name a server that cannot be used.
        """
        for name, value in _PRIVATE.items():
            os.environ.setdefault(name, value)
        context = _settings_context()
        if context.settings.api.url:
            from flows.server_check import check_server  # noqa: PLC0415 - Prefect costs a second

            check_server(context)
        else:
            self._start_temporary(context.settings)

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
          ConfigError: a temporary one does not come up.
        """
        if self._temporary is not None:
            self._temporary.wait(seconds=self._start_sec)

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
        # A profile is of the user's PREFECT_HOME, which the run may not keep.
        given = {
            **_QUIET,
            **os.environ,
            **settings.to_environment_variables(exclude_unset=True),
        }
        given.pop("PREFECT_PROFILE", None)
        self._temporary = TemporaryServer()
        use = self._temporary.start(
            given,
            has_database=bool(os.environ.get("PREFECT_HOME"))
            or bool(_DATABASE & settings.server.database.model_fields_set),
            base_path=settings.server.api.base_path or "/api",
        )
        os.environ.pop("PREFECT_PROFILE", None)
        os.environ.update({**given, **use})
        refresh_global_settings_context()


def _settings_context() -> "SettingsContext":
    """Read Prefect's settings: of the environment, files of the working directory and profiles.

    Raises:
      ConfigError: they cannot be read, or have a value that Prefect does not take.
    """
    try:
        with warnings.catch_warnings(), _no_log_lines("prefect"):
            # Of a home that cannot be made, which a run with a server of its own does not need,
            # and of settings of other versions.
            warnings.simplefilter("ignore")
            # Importing Prefect costs a second, and reads the settings.
            from prefect.context import get_settings_context  # noqa: PLC0415
    except (ValueError, OSError) as err:
        raise ConfigError(f"cannot read Prefect's settings: {_of_settings(err)}") from err
    context = get_settings_context()
    wanted = os.environ.get("PREFECT_PROFILE")
    if wanted and context.profile.name != wanted:
        raise ConfigError(
            f"Prefect has no profile {wanted!r}, which PREFECT_PROFILE names; "
            "`prefect profile ls` lists those of this user"
        )
    return context


@contextmanager
def _no_log_lines(name: str) -> Iterator[None]:
    log = logging.getLogger(name)
    before, log.level = log.level, logging.CRITICAL
    try:
        yield
    finally:
        log.level = before


def _of_settings(err: Exception) -> str:
    """Say what is wrong with the settings without the value, which may be a secret."""
    from pydantic import ValidationError  # noqa: PLC0415 - as above

    if not isinstance(err, ValidationError):
        return f"{err}; {_PLACES}"
    # Those without an input of their own follow from the others.
    first = next(of for of in err.errors() if of["type"] != "default_factory_not_called")
    name = ".".join(map(str, first["loc"]))
    return f"{name} of {err.title}: {first['msg']}; {_PLACES}"
