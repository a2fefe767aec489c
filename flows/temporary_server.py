"""A Prefect server for one run, for users without a server of their own.

Prefect would start one in the process group of its caller: Ctrl-C in a terminal would end it before
the run could report that it stops, and nothing would end it after a run that was killed. This
one runs in a session of its own, ends with the process that started it in every case, listens on
127.0.0.1 and requires a password that only that process knows.

The two processes share a pair of connected sockets: the server reports through it that it is up,
and ends when the other side is closed.
"""

import atexit
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipelines.errors import ConfigError

# Default limit of a start, which takes seconds on an idle machine and a minute on a busy one.
START_SEC: Final = 120

_STOP_SEC: Final = 3.0
_READY: Final = b"."
_LOG: Final = "server.log"
# Matches the last line of a traceback.
_ERROR: Final = re.compile(r"^[\w.]+(Error|Exception|Exit|Interrupt)\b.*")


class TemporaryServer:
    """A server process: `start` it, do other work, then `wait` until it answers.

    Attributes:
      folder: holds its log and, unless the user configured one, its database; only this user can
        read it, and it is removed with the server.
    """

    def __init__(self) -> None:
        """Make the folder; `stop` may be called from here on."""
        self._is_stopping = False
        self._process: subprocess.Popen[bytes] | None = None
        self._link, self._other_link = socket.socketpair()
        self.folder = Path(tempfile.mkdtemp(prefix="nsynth-prefect-"))

    def start(
        self, env: Mapping[str, str], *, has_database: bool, base_path: str
    ) -> Mapping[str, str]:
        """Start the process.

        Args:
          env: environment of the process.
          has_database: whether `env` names a database; else the server makes one.
          base_path: path of the API below the address.

        Returns:
          The variables that a client's environment needs to use this server.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener, self._other_link as link:
            port = listener.getsockname()[1]
            password = f"nsynth:{secrets.token_urlsafe(24)}"
            client_env = {
                "PREFECT_API_URL": f"http://127.0.0.1:{port}{base_path}",
                "PREFECT_API_AUTH_STRING": password,
            }
            if not has_database:
                client_env["PREFECT_HOME"] = str(self.folder)
            fds = (link.fileno(), listener.fileno())
            own = {"PREFECT_SERVER_API_AUTH_STRING": password}
            with (self.folder / _LOG).open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603 - runs this module
                    # Without -P a folder `flows` or `tasks` in the working directory comes first.
                    [sys.executable, "-P", "-m", __name__, *map(str, fds), str(self.folder)],
                    env={**env, **_SERVER_ENV, **client_env, **own},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=fds,
                    start_new_session=True,
                )
        # Runs after Prefect's handlers, which send the last events to the server.
        atexit.register(self.stop)
        return client_env

    def wait(self, *, seconds: float, on_loss: Callable[[str], None]) -> None:
        """Wait until the server answers.

        Args:
          on_loss: called from a thread, with the reason, when the server ends before `stop`.

        Raises:
          ConfigError: it ended, or is not up in time.
        """
        # A timeout of zero would make the socket non-blocking.
        self._link.settimeout(max(seconds, 0.001))
        try:
            is_up = self._link.recv(1) == _READY
        except TimeoutError as err:
            cause = self._cause() or "it has not said why"
            self.stop()
            raise ConfigError(
                f"the temporary Prefect server was not up after {seconds:.0f} s ({cause}); run the "
                "same command again when the machine is less busy, or allow more with "
                "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
            ) from err
        except ConnectionError:
            is_up = False
        if not is_up:
            cause = self._cause() or "its process ended and said nothing"
            self.stop()
            raise ConfigError(f"the temporary Prefect server did not start: {cause}")
        # Without the watch, Prefect would wait minutes for a lost server at each step.
        threading.Thread(target=self._watch, args=(on_loss,), daemon=True).start()

    def _watch(self, on_loss: Callable[[str], None]) -> None:
        self._link.settimeout(None)
        with suppress(OSError):
            self._link.recv(1)
        if not self._is_stopping:
            on_loss(f"the temporary Prefect server has ended: {self._cause() or 'it was killed'}")

    def stop(self) -> None:
        """End the server and remove its folder; may be called again."""
        self._is_stopping = True
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        if self._process is not None:
            try:
                self._process.wait(_STOP_SEC)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _cause(self) -> str:
        """Return the last error in the log, else its last line."""
        text = (self.folder / _LOG).read_text("utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if _ERROR.match(line)]
        return " ".join((errors or lines or [""])[-1].split())[:500]


_SERVER_ENV: Final = {
    # As in Prefect's own temporary server: no pages, and no services that schedule runs.
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    # Only errors are logged, since the last one explains why it did not start.
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
}


def _serve(link: socket.socket, listener: socket.socket, folder: str) -> None:
    """Run the server until the other end of `link` is closed, then end this process."""
    import uvicorn  # noqa: PLC0415 - the process that starts the server does not need it

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                link.send(_READY)

    is_over = threading.Event()

    def end_with_the_other_process() -> None:
        with suppress(OSError):
            link.recv(1)
        is_over.set()
        server.should_exit = True
        if server.started:
            time.sleep(_STOP_SEC)
        leave()

    def leave() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)

    server = Server(
        uvicorn.Config(
            "prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on"
        )
    )
    threading.Thread(target=end_with_the_other_process, daemon=True).start()
    server.run(sockets=[listener])
    # Threads of its database must not keep a server alive that nobody can reach.
    if is_over.is_set():
        leave()
    os._exit(1)


if __name__ == "__main__":
    _link, _listener = (socket.socket(fileno=int(text)) for text in sys.argv[1:3])
    _serve(_link, _listener, sys.argv[3])
