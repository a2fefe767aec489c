"""The installed commands, run as a user runs them: in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
CHECKOUT = Path(__file__).parents[2]


def run(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path = CHECKOUT
) -> subprocess.CompletedProcess[str]:
    """Runs a command of this environment to its end."""
    return subprocess.run(
        [str(BIN / arguments[0]), *arguments[1:]],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | dict(env or {}),
        timeout=280,
    )


def run_json(*arguments: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Runs a command that has to succeed; returns the last line of its standard output."""
    done = run(*arguments, "--json", env=env)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
