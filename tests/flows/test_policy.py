"""Failures that tasks retry, seen in real task runs on the server that this folder shares."""

import os
import subprocess
import sys

SCRIPT = """
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

job(ConnectionError("reset"))
job(DatasetError("empty"))
"""


def test_policy_retries_input_and_output_but_no_error_of_the_data(
    prefect_env: dict[str, str],
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | prefect_env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["done 3", "failed 1"], done.stderr
