"""Exit code of a command that is stopped; tests/e2e stops the main job at each stage."""

import signal
import subprocess
import sys

import pytest

from tests.flows.command import CHECKOUT

COMMAND = """
import signal, time
# Tests in the background of a shell ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from flows.cli.interrupt import INTERRUPTS
INTERRUPTS.take_over()
from flows.cli.main import _stoppable

@_stoppable
def command():
    print("ready", flush=True)
    time.sleep(100)

command()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_that_is_stopped_says_so_and_exits_with_130(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr == "nsynth: stopped; run the same command again to go on where it stopped\n"
