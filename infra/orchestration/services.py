"""Start services of one machine, find them again by a mark in their environment, and end them.

A process id may later belong to another process, so it is checked against the mark. The mark is
inherited, so child processes of a worker are found too, whether the worker lives or not.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from infra.orchestration.settings import CHECKOUT

_MARK: Final = "NSYNTH_SERVICE"

BIN: Final = Path(sys.executable).parent


def start(name: str, command: Sequence[str], *, state: Path, env: Mapping[str, str]) -> int:
    """Start a service in its own session, append its output to a log, and return its pid."""
    # Logs and database contain the parameters of runs.
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
    # For a moment a new process has no environment to read.
    wait_for(lambda: process.poll() is not None or running(state, name) is not None, seconds=10)
    # It outlives this process, which must not wait for it.
    process.returncode = 0
    return process.pid


def log_file(state: Path, name: str) -> Path:
    """Return the log file of a service."""
    return state / "logs" / f"{name}.log"


def running(state: Path, name: str) -> psutil.Process | None:
    """Return the process of a service itself, None unless it runs."""
    path = state / "pids" / name
    pid = path.read_text().strip() if path.exists() else ""
    if not pid or not psutil.pid_exists(int(pid)):
        return None
    process = psutil.Process(int(pid))
    return process if _mark_of(process) == _mark(state, name) else None


def started(state: Path, name: str) -> list[psutil.Process]:
    """Return all processes that a service started, including itself."""
    mark = _mark(state, name)
    return [process for process in psutil.process_iter() if _mark_of(process) == mark]


def environment(process: psutil.Process) -> dict[str, str]:
    """Return a process's environment at its start; empty where this user may not read it."""
    try:
        return dict(process.environ())
    except (psutil.Error, OSError):
        return {}


def end(processes: Iterable[psutil.Process], *, patience_sec: float) -> None:
    """Ask processes to end, and kill those that have not ended in time."""
    others = [process for process in processes if process.pid != os.getpid()]
    for process in others:
        _signal(process.terminate)
    _, remaining = psutil.wait_procs(others, timeout=patience_sec)
    for process in remaining:
        _signal(process.kill)
    psutil.wait_procs(remaining, timeout=patience_sec)


def wait_for(holds: Callable[[], bool], *, seconds: float) -> bool:
    """Return whether a condition becomes true within a time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.2)
    return holds()


def _signal(send: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        send()


def _mark(state: Path, name: str) -> str:
    return f"{state.resolve()}:{name}"


def _mark_of(process: psutil.Process) -> str:
    return environment(process).get(_MARK, "")
