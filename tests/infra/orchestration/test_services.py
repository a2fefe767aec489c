"""Real processes: what is found, and what is ended."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from infra.orchestration import services
from infra.orchestration.services import wait_for

SLEEP = "import time; time.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True);"
    f"{SLEEP}"
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for name in ("one", "two"):
        services.end(services.started(tmp_path, name), patience_sec=1)


def start(state: Path, name: str, code: str = SLEEP) -> int:
    return services.start(name, ("python", "-c", code), state=state, env=dict(os.environ))


def says(log: Path, words: str) -> bool:
    return words in log.read_text()


def test_running_finds_a_service_by_its_name(state: Path) -> None:
    pid = start(state, "one")
    found = services.running(state, "one")
    assert found is not None
    assert found.pid == pid
    assert services.running(state, "two") is None
    assert services.running(state / "elsewhere", "one") is None


def test_running_does_not_take_another_process_with_that_id(state: Path) -> None:
    start(state, "one")
    (state / "pids" / "one").write_text(f"{os.getpid()}\n")
    assert services.running(state, "one") is None


def test_started_finds_what_a_killed_service_left(state: Path) -> None:
    pid = start(state, "one", PARENT)
    assert wait_for(lambda: len(services.started(state, "one")) == 2, seconds=10)
    psutil.Process(pid).kill()
    assert wait_for(lambda: services.running(state, "one") is None, seconds=10)
    (left,) = [p for p in services.started(state, "one") if p.status() != psutil.STATUS_ZOMBIE]
    services.end([left], patience_sec=5)
    assert not left.is_running()


def test_end_kills_what_does_not_listen_and_nothing_else(state: Path) -> None:
    start(state, "one", STUBBORN)
    log = services.log_file(state, "one")
    assert wait_for(partial(says, log, "deaf"), seconds=10)
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as other:
        services.end(services.started(state, "one"), patience_sec=0.5)
        assert services.running(state, "one") is None
        assert other.poll() is None
        other.kill()


def test_log_keeps_what_was_written_before(state: Path) -> None:
    log = services.log_file(state, "one")
    for word in ("first", "second"):
        start(state, "one", f"print({word!r})")
        assert wait_for(partial(says, log, word), seconds=30)
    assert log.read_text() == "first\nsecond\n"
