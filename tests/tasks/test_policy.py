"""Which failures are tried again, seen in real task runs on a temporary server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from flows.server import PrefectServer

server = PrefectServer()
server.start()

from prefect import flow, task
from pipelines.errors import DatasetError
from tasks.policy import POLICY

attempts = []

@task(**POLICY | {"retry_delay_seconds": 0, "retry_jitter_factor": None})
def work():
    attempts.append(1)
    if len(attempts) < 3:
        raise ERROR_HERE
    return "done"

@flow
def job():
    return work()

server.wait(on_loss=print)
try:
    print(job(), len(attempts))
except (DatasetError, OSError) as err:
    print("failed", len(attempts))
"""


@pytest.mark.parametrize(
    ("error", "ends"),
    [("ConnectionError('reset')", "done 3"), ("DatasetError('empty')", "failed 1")],
)
def test_policy_repeats_what_may_end_otherwise(error: str, ends: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("ERROR_HERE", error)],
        env=os.environ | {"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip().splitlines()[-1:] == [ends], done.stderr
