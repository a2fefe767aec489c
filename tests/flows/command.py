"""The command, run as a user runs it: in a process of its own."""

import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

BIN: Final = Path(sys.executable).parent
CHECKOUT: Final = Path(__file__).parents[2]
TIMEOUT_SEC: Final = 550


@cache
def _warm_process() -> socket.socket:
    """Start tests/flows/warm.py, which ends with this process; return the link to it."""
    # Keeps a request in one piece.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    number = theirs.fileno()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.flows.warm", str(number)],
        pass_fds=[number],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    theirs.close()
    ours.settimeout(TIMEOUT_SEC)

    def stop() -> None:
        ours.close()
        process.wait()

    atexit.register(stop)
    return ours


def run(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path = CHECKOUT
) -> subprocess.CompletedProcess[str]:
    """Run `nsynth` with these arguments to its end."""
    assert arguments[0] == "nsynth"
    request = {"arguments": arguments[1:], "env": os.environ | dict(env or {}), "cwd": str(cwd)}
    link = _warm_process()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        socket.send_fds(link, [json.dumps(request).encode()], [out.fileno(), err.fileno()])
        code = int(link.recv(100))
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(arguments, code, *texts)


def run_json(*arguments: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a command that has to succeed; return the last line of its standard output."""
    done = run(*arguments, "--json", env=env)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
