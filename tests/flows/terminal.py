"""The installed command in a terminal, where Ctrl-C goes to its whole process group."""

import os
import pty
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from tests.flows.command import BIN, CHECKOUT

CTRL_C: Final = b"\x03"
# A busy machine is slow; what these wait for takes seconds on a quiet one.
PATIENCE_SEC: Final = 240.0
_MARK: Final = "NSYNTH_TEST_TERMINAL"


class Terminal:
    """A command that runs in a pseudo-terminal, until it ends by itself.

    Attributes:
      pid: of the command, which leads a session and the foreground process group.
    """

    def __init__(self, *command: str, env: Mapping[str, str], cwd: Path = CHECKOUT) -> None:
        self._mark = uuid.uuid4().hex
        self._output = bytearray()
        environment = {**os.environ, **env, _MARK: self._mark}
        program = str(BIN / command[0])
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(program, [program, *command[1:]], environment)  # noqa: S606
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # Linux reports an error when nobody has the terminal open any more.
        with suppress(OSError):
            while data := os.read(self._master, 65_536):
                self._output += data

    @property
    def output(self) -> str:
        """Return all that the terminal has shown."""
        return self._output.decode(errors="replace")

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds` returns true while the command runs."""
        end = time.monotonic() + PATIENCE_SEC
        while not holds():
            assert self.is_running(), self.output
            assert time.monotonic() < end, self.output
            time.sleep(0.01)

    def is_running(self) -> bool:
        return bool(psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE)

    def wait(self) -> int:
        """Wait for the end; return the exit code, negative for a signal."""
        end = time.monotonic() + PATIENCE_SEC
        while self.is_running():
            assert time.monotonic() < end, self.output
            time.sleep(0.01)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def processes(self) -> list[psutil.Process]:
        """Return all running processes that the command started, in any session."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(_MARK) == self._mark and process.pid != self.pid:
                    found.append(process)
        return found

    def close(self) -> None:
        """End what is left."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        self._reader.join(timeout=10)
        os.close(self._master)
