"""Prefect's settings of this process, read before anything else of Prefect is imported."""

import io
import os
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, Final

from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from prefect.context import SettingsContext

_PRIVATE: Final = {
    # No usage statistics leave the user's machine.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
_PLACES: Final = (
    "they come from the variables PREFECT_*, from profiles.toml in PREFECT_HOME (by default "
    "~/.prefect), and from prefect.toml, pyproject.toml or .env in this folder"
)


def read_settings() -> "SettingsContext":
    """Read Prefect's settings from the environment, the working directory and the profiles.

    Raises:
      ConfigError: they cannot be read, or have a value that Prefect does not accept.
    """
    for name, value in _PRIVATE.items():
        os.environ.setdefault(name, value)
    try:
        # Its warnings concern settings that are refused below in one sentence, and a home that
        # cannot be created, which a temporary server does not need.
        with redirect_stderr(io.StringIO()):
            # Importing Prefect costs a second, and reads the settings.
            from prefect.context import get_settings_context  # noqa: PLC0415
            from prefect.settings import load_profiles  # noqa: PLC0415

            active = load_profiles().active_name
    except (ValueError, OSError) as err:
        raise ConfigError(f"cannot read Prefect's settings: {_describe(err)}") from err
    context = get_settings_context()
    wanted = os.environ.get("PREFECT_PROFILE", active)
    if context.profile.name != wanted:
        source = "PREFECT_PROFILE" if "PREFECT_PROFILE" in os.environ else "`active`"
        raise ConfigError(
            f"Prefect has no profile {wanted!r}, which {source} names; correct it, or choose one "
            f"of {context.settings.profiles_path} with `prefect profile use`"
        )
    return context


def _describe(err: Exception) -> str:
    """Return what is wrong with the settings, without the value, which may be a secret."""
    from pydantic import ValidationError  # noqa: PLC0415 - as above

    if not isinstance(err, ValidationError):
        return f"{err}; {_PLACES}"
    # Errors of this type follow from the others.
    first = next(one for one in err.errors() if one["type"] != "default_factory_not_called")
    name = ".".join(map(str, first["loc"]))
    return f"{name} of {err.title}: {first['msg']}; {_PLACES}"
