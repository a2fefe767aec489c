"""The server of workers; that engines get their work done by it is seen in tests/engines."""

import subprocess
import sys

import psutil
import pytest

from pipelines.engines import pool
from tests.listening import Listeners, listeners

COMMAND = [sys.executable, "-m", "pipelines.engines.pool", "--port"]


def test_threads_are_asked_for_on_loopback_alone() -> None:
    before, during, process = Listeners(), Listeners(), psutil.Process()
    before.look(process)
    with pool.threads() as address:
        during.look(process)
    (served,) = during.found - before.found
    assert address == f"127.0.0.1:{served[2]}"
    assert not during.exposed - before.exposed


@pytest.fixture
def served() -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, "0"], stdout=subprocess.PIPE, text=True)


def test_command_serves_on_loopback_alone_until_it_is_ended(
    served: subprocess.Popen[str],
) -> None:
    with served, listeners(served.pid) as found:
        assert served.stdout
        line = served.stdout.readline()
        address = line.split()[-1]
        found.look(psutil.Process(served.pid))
        port = int(address.removeprefix("127.0.0.1:"))
        take = subprocess.run(
            [*COMMAND, str(port)], capture_output=True, text=True, check=False, timeout=60
        )
        served.terminate()
    assert served.returncode == 0
    assert [listener[2] for listener in found.found] == [port]
    assert not found.exposed
    assert take.returncode == 1
    assert take.stderr.strip().splitlines()[-1] == (
        f"port {port} of 127.0.0.1 is take; choose another one"
    )
