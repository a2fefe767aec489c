"""A server and a worker of `make up`, as tests talk to them: by its interface, and by processes."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.flows.command import BIN, CHECKOUT

PATIENCE_SEC = 600
"""For whatever has to come about: a busy machine is slow, not wrong."""

AT_END = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass(frozen=True)
class Stack:
    """One set of services, with a folder and ports of its own."""

    state: Path
    port: int
    env: Mapping[str, str]
    own_auth: str = ""

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def auth(self) -> tuple[str, str]:
        """User and password of the server."""
        stored = self.own_auth or (self.state / "password").read_text().strip()
        user, _, password = stored.partition(":")
        return user, password

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of this environment that talks to this server."""
        return self._run(*arguments, env={"PREFECT_API_AUTH_STRING": ":".join(self.auth)})

    def _run(self, *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / arguments[0]), *arguments[1:]],
            cwd=CHECKOUT,
            env=os.environ | dict(self.env) | dict(env),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SEC,
        )

    def orchestrate(self, verb: str) -> str:
        """What `make up`, `make down` and `make status` call; gives what it prints."""
        done = self.run_verb(verb)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run_verb(self, verb: str) -> subprocess.CompletedProcess[str]:
        """The same, whatever comes of it."""
        return self._run("python", "-m", "infra.orchestration", verb, env={})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """An answer of the server, which a busy database may delay."""
        for attempt in range(20):
            try:
                answer = httpx.request(
                    method, f"{self.api_url}/{path}", json=body, auth=self.auth, timeout=120
                )
            except httpx.TimeoutException:
                # Only a question may be asked twice.
                if attempt == 19 or not (method == "GET" or path.endswith("/filter")):
                    raise
                continue
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def start(self, deployment: str, **parameters: Any) -> str:
        """Creates a run of a deployment; gives its id."""
        found = self.ask("GET", f"deployments/name/{deployment}")
        path = f"deployments/{found['id']}/create_flow_run"
        run: str = self.ask("POST", path, {"parameters": parameters})["id"]
        return run

    def run(self, flow_run: str) -> dict[str, Any]:
        """A run as the server knows it."""
        found: dict[str, Any] = self.ask("GET", f"flow_runs/{flow_run}")
        return found

    def end_of(self, flow_run: str) -> dict[str, Any]:
        """A run when it has ended."""

        def ended() -> dict[str, Any] | None:
            found = self.run(flow_run)
            return found if found["state"]["type"] in AT_END else None

        found: dict[str, Any] = until(ended, f"run {flow_run} to end")
        return found

    def completed(self, deployment: str, **parameters: Any) -> dict[str, Any]:
        """A run of a deployment that completes."""
        found = self.end_of(self.start(deployment, **parameters))
        said = "\n".join(self.words(found["id"])[-30:])
        assert found["state"]["type"] == "COMPLETED", f"{found['state']}\n{said}"
        return found

    def artifacts(self, flow_run: str) -> dict[str, dict[str, Any]]:
        """A run's artifacts by key, those of its subflows too."""
        runs = [flow_run, *(sub["id"] for sub in self.subflows(flow_run))]
        only = {"artifacts": {"flow_run_id": {"any_": runs}}, "limit": 200}
        return {found["key"]: found for found in self.ask("POST", "artifacts/filter", only)}

    def subflows(self, flow_run: str) -> list[dict[str, Any]]:
        """The runs that a run started."""
        only = {"flow_runs": {"parent_flow_run_id": {"any_": [flow_run]}}}
        return list(self.ask("POST", "flow_runs/filter", only))

    def words(self, flow_run: str) -> list[str]:
        """The lines of a run's page, those of its subflows too."""
        runs = [flow_run, *(sub["id"] for sub in self.subflows(flow_run))]
        only = {
            "logs": {"flow_run_id": {"any_": runs}},
            "limit": 200,
            "sort": "TIMESTAMP_DESC",
        }
        return [line["message"] for line in self.ask("POST", "logs/filter", only)][::-1]

    def processes(self, flow_run: str) -> list[psutil.Process]:
        """What runs a run on this machine."""
        return [
            process
            for process in psutil.process_iter()
            if _environment(process).get("PREFECT__FLOW_RUN_ID") == flow_run
        ]

    def service(self, name: str) -> psutil.Process:
        """The process of a service."""
        return psutil.Process(int((self.state / "pids" / name).read_text()))

    def files_with_password(self) -> list[Path]:
        """The files of the state that hold the password, logs and database among them."""
        files = [path for path in self.state.rglob("*") if path.is_file()]
        assert len(files) > 5
        return [path for path in files if self.auth[1].encode() in path.read_bytes()]

    def left(self) -> list[psutil.Process]:
        """All that runs because of `up`."""
        mark = f"{self.state.resolve()}:"
        found = psutil.process_iter()
        return [p for p in found if _environment(p).get("NSYNTH_SERVICE", "").startswith(mark)]


def until(holds: Callable[[], Any], what: str, *, every_sec: float = 0.5) -> Any:
    """Waits for an answer that is true."""
    end = time.monotonic() + PATIENCE_SEC
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(every_sec)
    raise TimeoutError(f"waited {PATIENCE_SEC} s for {what}")


def kill(processes: Sequence[psutil.Process]) -> None:
    """Ends processes of this test as a crash would."""
    for process in processes:
        if process.is_running():
            os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=30)


def free_ports() -> int:
    """A port that is free, as is the one after it."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except (psutil.Error, OSError):
        return {}
