"""Failures that are retried, seen in real task runs on a temporary server."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
from flows.server import PrefectServer

server = PrefectServer()
server.start()

from prefect import flow, task
from pipelines.errors import DatasetError
from tasks.policy import POLICY

@task(**POLICY | {"retry_delay_seconds": 0, "retry_jitter_factor": None})
def work(attempts, error):
    attempts.append(1)
    if len(attempts) < 3:
        raise error
    return "done"

@flow
def job(error):
    attempts = []
    try:
        print(work(attempts, error), len(attempts))
    except (DatasetError, OSError):
        print("failed", len(attempts))

server.wait(on_loss=print)
job(ConnectionError("reset"))
job(DatasetError("empty"))
"""


def test_policy_retries_input_and_output_but_no_error_of_the_data(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["done 3", "failed 1"], done.stderr
