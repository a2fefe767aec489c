"""A Prefect server of one run, for users who have none.

Prefect starts one by itself, in the process group of its caller: Ctrl-C in a terminal ends it
before the run could say that it is stopped, and nothing ends it after a run that was killed. This
one runs in a session of its own, ends with the process that started it whatever ended that, listens
on 127.0.0.1 and asks for a password that only that process knows.

A pair of connected sockets is all that the two processes share: the server says through it that it
is up, and its end is the end of the other process.
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

START_SEC: Final = 120
"""How long a start may take by default; it takes seconds on a machine with nothing else to do."""

_STOP_SEC: Final = 3.0
_READY: Final = b"."
_LOG: Final = "server.log"
_ERROR: Final = re.compile(r"^[\w.]+(Error|Exception|Exit|Interrupt)\b.*")
"""The last line of a traceback."""


class TemporaryServer:
    """A server process: `start` it, do something else meanwhile, `wait` until it answers.

    Attributes:
      folder: its log and, unless the user has configured one, its database; of this user alone,
        and removed with the server.
    """

    def __init__(self) -> None:
        """Make the folder; `stop` holds from here on."""
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
          has_database: whether `env` names a database; without one the server has its own.
          base_path: path of the API below the address.

        Returns:
          What an environment needs to use this server.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener, self._other_link as link:
            port = listener.getsockname()[1]
            password = f"nsynth:{secrets.token_urlsafe(24)}"
            use = {
                "PREFECT_API_URL": f"http://127.0.0.1:{port}{base_path}",
                "PREFECT_API_AUTH_STRING": password,
            }
            if not has_database:
                use["PREFECT_HOME"] = str(self.folder)
            fds = (link.fileno(), listener.fileno())
            own = {"PREFECT_SERVER_API_AUTH_STRING": password}
            with (self.folder / _LOG).open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603 - this module
                    # Without -P a folder `flows` or `tasks` in the working directory comes first.
                    [sys.executable, "-P", "-m", __name__, *map(str, fds), str(self.folder)],
                    env={**env, **_SERVER_ENV, **use, **own},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=fds,
                    start_new_session=True,
                )
        # After Prefect's own at exit, which hand over what the server has not heard yet.
        atexit.register(self.stop)
        return use

    def wait(self, *, seconds: float, on_loss: Callable[[str], None]) -> None:
        """Wait until the server answers.

        Args:
          on_loss: called from a thread, with the reason, when the server ends before `stop`.

        Raises:
          ConfigError: it ended, or is not up in time.
        """
        # Zero would not mean to wait no time, but not to wait for the answer.
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
        # Prefect would wait for it for minutes, at each step again.
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
    # As Prefect has them for a temporary server: neither pages nor services that plan runs.
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    # Its lines are kept for the one that says why it did not start.
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
}


def _serve(link: socket.socket, listener: socket.socket, folder: str) -> None:
    """Run the server until the other end of `link` is closed; ends this process."""
    import uvicorn  # noqa: PLC0415 - not of the process that starts the server

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
    # Threads of its database must not keep a server that nobody can reach.
    if is_over.is_set():
        leave()
    os._exit(1)


if __name__ == "__main__":
    _link, _listener = (socket.socket(fileno=int(text)) for text in sys.argv[1:3])
    _serve(_link, _listener, sys.argv[3])
