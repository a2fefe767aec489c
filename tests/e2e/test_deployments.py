"""The deployment, on a real server with a real worker, as in production."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.flows.command import BIN, CHECKOUT, run

TIMEOUT_SEC = 120


@contextmanager
def process(*arguments: str, env: dict[str, str], log: Path) -> Iterator[None]:
    """A command of this environment that runs until the block ends."""
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [str(BIN / arguments[0]), *arguments[1:]],
            cwd=CHECKOUT,
            env=os.environ | env,
            stdout=file,
            stderr=subprocess.STDOUT,
        ) as running,
    ):
        try:
            yield
        finally:
            running.terminate()
            try:
                running.wait(30)
            except subprocess.TimeoutExpired:
                running.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(holds: Callable[[], Any]) -> Any:
    """Waits for an answer that is true; refused connections are an answer that is not."""
    end = time.monotonic() + TIMEOUT_SEC
    while time.monotonic() < end:
        try:
            if found := holds():
                return found
        except OSError:
            pass
        time.sleep(0.5)
    raise TimeoutError(f"no answer within {TIMEOUT_SEC} s")


class Server:
    """A Prefect server's HTTP interface."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - an address of this machine
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(tmp_path_factory.mktemp("server")),
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }


@pytest.fixture(scope="module")
def server(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the deployments of infra/prefect.yaml and a worker."""
    logs = tmp_path_factory.mktemp("logs")
    url = env["PREFECT_API_URL"]
    port = url.removesuffix("/api").rpartition(":")[2]
    start = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", port, "--no-ui")
    with process(*start, env=env, log=logs / "server"):
        server = Server(url)
        until(lambda: server.ask("/health"))
        for arguments in (
            ("variable", "set", "nsynth_checkout", str(CHECKOUT)),
            ("variable", "set", "nsynth_train", "nsynth-valid.tfrecord"),
            ("variable", "set", "nsynth_test", "nsynth-test.tfrecord"),
            ("variable", "set", "nsynth_root", "data"),
            ("work-pool", "create", "nsynth", "--type", "process"),
            ("--no-prompt", "deploy", "--prefect-file", "infra/prefect.yaml", "--all"),
        ):
            done = run("prefect", *arguments, env=env)
            assert done.returncode == 0, done.stdout + done.stderr
        work = ("prefect", "worker", "start", "--pool", "nsynth")
        with process(*work, env=env, log=logs / "worker"):
            yield server


def test_deployment_runs_to_completed(
    server: Server, env: dict[str, str], arguments: list[str], retrained: dict[str, Any]
) -> None:
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    parameters = [
        argument
        for name, value in given.items()
        for argument in ("-p", f"{name.removeprefix('--').replace('-', '_')}={value}")
    ]
    done = run(
        *("prefect", "deployment", "run", "retrain/manual", *parameters),
        *("--watch", "--watch-timeout", "240"),
        env=env,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (flow_run,) = server.ask(
        "/flow_runs/filter", {"flow_runs": {"parent_task_run_id": {"is_null_": True}}}
    )
    assert flow_run["state"]["type"] == "COMPLETED"
    assert flow_run["name"] == (
        "retrain preliminary and optimised for 1 epochs "
        "on nsynth-train.tfrecord, test on nsynth-test.tfrecord"
    )


def test_run_shows_artifacts_and_the_words_of_the_work(
    server: Server, retrained: dict[str, Any]
) -> None:
    artifacts = {artifact["key"]: artifact for artifact in server.ask("/artifacts/filter", {})}
    summary = artifacts[f"summary-{retrained['run_id']}"]
    assert f"{retrained['models']['optimised']['accuracy']:.4f}" in summary["data"]
    tables = [json.loads(a["data"]) for key, a in artifacts.items() if key.startswith("drops-")]
    assert [{"verdict": "synth_lead", "notes": 1} in table for table in tables].count(True) == 1
    lines = [line["message"] for line in server.ask("/logs/filter", {"limit": 200})]
    assert any("nothing to convert" in line for line in lines)


def test_schedule_creates_runs(server: Server, env: dict[str, str]) -> None:
    done = run(
        *("prefect", "deployment", "schedule", "create", "retrain/manual"),
        *("--cron", "0 3 * * *"),
        env=env,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    assert until(lambda: server.ask("/flow_runs/filter", scheduled))
