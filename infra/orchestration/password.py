"""The password of the server of `make up`: generated once, in a file that only its owner reads.

Whoever may create a run on the server runs commands on this machine, so that the server asks every
request for it: of other users of the machine, and of the pages that a browser shows.
"""

import os
import secrets
import shlex
import stat
from pathlib import Path

from infra.orchestration.settings import CLIENT_AUTH, SERVER_AUTH, Settings
from pipelines.errors import ConfigError


def server_auth(given: Settings) -> str:
    """Return USER:PASSWORD of the server: the user's own, or the stored one, made where none is.

    Raises:
      ConfigError: other users may read the file, or it is empty.
    """
    return given.auth or _stored(password_file(given.state))


def password_file(state: Path) -> Path:
    """Return where the generated password is stored."""
    return state / "password"


def export_line(given: Settings) -> str:
    """Return the shell's command by which `prefect` knows the password, without the password."""
    if not given.auth:
        return f'export {CLIENT_AUTH}="$(cat {shlex.quote(str(password_file(given.state)))})"'
    return f'export {CLIENT_AUTH}="${{{CLIENT_AUTH}:-${SERVER_AUTH}}}"'


def _stored(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        # Never readable by others, not even before it is written.
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return _read(path)
    auth = f"nsynth:{secrets.token_urlsafe(32)}"
    with os.fdopen(file, "w") as new:
        new.write(f"{auth}\n")
    return auth


def _read(path: Path) -> str:
    if mode := stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(
            f"the password in {path} may be read by other users (mode bits {mode:03o}); run `make "
            "down`, remove the file, and `make up` generates another"
        )
    if not (auth := path.read_text().strip()):
        raise ConfigError(f"{path} holds no password; remove it, and `make up` generates another")
    return auth
