"""Settings of `make up`, read from the environment, and the password of its server.

The password is generated once, in a file that only its owner may read. A client that may create a
run on the server can run any command on this machine. So the server requires the password for each
request, also from other users of the machine and from pages in a browser.
"""

import os
import secrets
import shlex
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipelines import storage
from pipelines.errors import ConfigError

CHECKOUT: Final = Path(__file__).parents[2]

SERVER_AUTH: Final = "PREFECT_SERVER_API_AUTH_STRING"

# Prefect's names for USER:PASSWORD: required by its server, and sent by its clients.
CLIENT_AUTH: Final = "PREFECT_API_AUTH_STRING"


@dataclass(frozen=True)
class Settings:
    """How the server and the worker of one machine are run.

    Attributes:
      state: NSYNTH_STATE; the folder of database, logs and process ids; by default
        `.orchestration` in the checkout.
      port: NSYNTH_PORT; of the server, on 127.0.0.1 only; reports are served on the one after it.
      database: NSYNTH_DATABASE; the URL of a PostgreSQL database, such as
        postgresql+asyncpg://user:password@host/prefect; a file in `state` by default.
      root: NSYNTH_ROOT; where data sets, runs and reports go, relative to the checkout.
      train: NSYNTH_TRAIN; source of the nightly training.
      test: NSYNTH_TEST; source of the nightly test.
      report_roots: NSYNTH_REPORT_ROOTS; further roots whose reports are served, by commas.
      auth: PREFECT_SERVER_API_AUTH_STRING or PREFECT_API_AUTH_STRING; USER:PASSWORD of the server;
        by default one is generated and stored in `state`.
    """

    state: Path
    port: int
    database: str = field(repr=False)
    root: str
    train: str
    test: str
    report_roots: tuple[str, ...] = ()
    auth: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not 1024 <= self.port < 65535:
            raise ConfigError(f"NSYNTH_PORT must be from 1024 to 65534, got {self.port}")
        if self.database and not self.database.startswith("postgresql+asyncpg://"):
            # The URL itself may hold a password.
            raise ConfigError("NSYNTH_DATABASE must begin with postgresql+asyncpg://")
        # They become variables of the server, which it stores and shows.
        for location in (self.root, self.train, self.test):
            storage.refuse_credentials(location)
        if not (self.auth.isascii() and self.auth.isprintable()):
            # Prefect's server fails at any other.
            raise ConfigError(f"{SERVER_AUTH} must be printable ASCII, such as USER:PASSWORD")

    @property
    def url(self) -> str:
        """Return the URL of the server's pages."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """Return the PREFECT_API_URL of this server."""
        return f"{self.url}/api"

    @property
    def reports_url(self) -> str:
        """Return the URL of the report server."""
        return f"http://127.0.0.1:{self.port + 1}"


def settings() -> Settings:
    """Return the settings of the environment.

    Raises:
      ConfigError: one is not valid.
    """
    return Settings(
        state=CHECKOUT / (os.environ.get("NSYNTH_STATE") or ".orchestration"),
        port=_port(os.environ.get("NSYNTH_PORT") or "4200"),
        database=os.environ.get("NSYNTH_DATABASE", ""),
        root=os.environ.get("NSYNTH_ROOT", ""),
        train=os.environ.get("NSYNTH_TRAIN", ""),
        test=os.environ.get("NSYNTH_TEST", ""),
        report_roots=tuple(filter(None, os.environ.get("NSYNTH_REPORT_ROOTS", "").split(","))),
        auth=_auth(),
    )


def _auth() -> str:
    own = {value for name in (SERVER_AUTH, CLIENT_AUTH) if (value := os.environ.get(name))}
    if len(own) > 1:
        raise ConfigError(
            f"{SERVER_AUTH} and {CLIENT_AUTH} differ, and no client would get in; unset one of them"
        )
    return own.pop() if own else ""


def _port(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"NSYNTH_PORT must be a number, got {text!r}")
    return int(text)


def server_auth(config: Settings) -> str:
    """Return USER:PASSWORD of the server: the user's own, or the stored one, made where none is.

    Raises:
      ConfigError: other users may read the file, or it is empty.
    """
    return config.auth or _stored(password_file(config.state))


def password_file(state: Path) -> Path:
    """Return where the generated password is stored."""
    return state / "password"


def export_line(config: Settings) -> str:
    """Return the shell's command by which `prefect` knows the password, without the password."""
    if not config.auth:
        return f'export {CLIENT_AUTH}="$(cat {shlex.quote(str(password_file(config.state)))})"'
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
