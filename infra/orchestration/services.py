"""The processes of one machine: started, found again by a mark in their environment, ended.

A mark, since a process id may belong to another process tomorrow; and since it is inherited, what
the worker started is found too, with the worker alive or not.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from infra.orchestration.api import wait_for
from infra.orchestration.settings import CHECKOUT

_MARK: Final = "NSYNTH_SERVICE"

BIN: Final = Path(sys.executable).parent


def start(name: str, command: Sequence[str], *, state: Path, env: Mapping[str, str]) -> int:
    """Starts a service in a session of its own, its output appended to a log; returns its pid."""
    # Logs and database say what runs, with their parameters.
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in ("logs", "pids"):
        (state / folder).mkdir(exist_ok=True)
    with log_file(state, name).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - a command of this environment
            [str(BIN / command[0]), *command[1:]],
            cwd=CHECKOUT,
            env={**env, _MARK: _mark(state, name)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (state / "pids" / name).write_text(f"{process.pid}\n")
    # For a moment a new process has no environment to be found by.
    wait_for(lambda: process.poll() is not None or running(state, name) is not None, seconds=10)
    # Nobody waits for it here: it outlives this process.
    process.returncode = 0
    return process.pid


def log_file(state: Path, name: str) -> Path:
    """Where a service writes."""
    return state / "logs" / f"{name}.log"


def running(state: Path, name: str) -> psutil.Process | None:
    """The process of a service itself, None unless it runs."""
    path = state / "pids" / name
    pid = path.read_text().strip() if path.exists() else ""
    if not pid or not psutil.pid_exists(int(pid)):
        return None
    process = psutil.Process(int(pid))
    return process if _mark_of(process) == _mark(state, name) else None


def started(state: Path, name: str) -> list[psutil.Process]:
    """All processes that a service started, itself among them."""
    mark = _mark(state, name)
    return [process for process in psutil.process_iter() if _mark_of(process) == mark]


def environment(process: psutil.Process) -> dict[str, str]:
    """A process's environment as it was when it started; empty where that is not ours to read."""
    try:
        return dict(process.environ())
    except (psutil.Error, OSError):
        return {}


def end(processes: Iterable[psutil.Process], *, patience_sec: float) -> None:
    """Asks processes to end; kills what has not ended by then."""
    asked = [process for process in processes if process.pid != os.getpid()]
    for process in asked:
        _signal(process.terminate)
    _, left = psutil.wait_procs(asked, timeout=patience_sec)
    for process in left:
        _signal(process.kill)
    psutil.wait_procs(left, timeout=patience_sec)


def _signal(send: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        send()


def _mark(state: Path, name: str) -> str:
    return f"{state.resolve()}:{name}"


def _mark_of(process: psutil.Process) -> str:
    return environment(process).get(_MARK, "")
