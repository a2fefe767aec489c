"""Servers of a test: real processes on this machine's loopback, ended with the test."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.listening import listeners


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def started(
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str],
    port: int = 0,
    is_exposed: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process and what it starts, from when it answers at its port to the block's end.

    Args:
      is_exposed: it may listen on other addresses than loopback; every other one is looked at.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
        )
    with listeners(process.pid, every_sec=0.5) as found:
        try:
            if port:
                wait_until(lambda: answers(port) or process.poll() is not None, seconds=90)
                assert process.poll() is None, log.read_text()[-2000:]
            yield process
        finally:
            end(process)
    assert is_exposed or not found.exposed


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process of ours with all of its session."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    process.wait(10)


def answers(port: int) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1)
        return asking.connect_ex(("127.0.0.1", port)) == 0


def wait_until(is_so: Callable[[], bool], *, seconds: float, every_sec: float = 0.05) -> None:
    """Waits for something to come true; fails where it does not."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"not so after {seconds} s"
        time.sleep(every_sec)
