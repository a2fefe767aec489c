"""Signals before any work: tests/e2e/test_interrupts.py has those of each stage."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, time
from flows.cli.interrupt import INTERRUPTS
INTERRUPTS.take_over()
os.kill(os.getpid(), signal.{name})
time.sleep(60)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signal_before_any_work_ends_with_one_sentence_and_130(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(name=name)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "nsynth: stopped; run the same command again to go on where it stopped\n"
