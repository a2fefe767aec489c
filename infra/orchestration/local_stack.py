"""Start and stop a server, a report server and a worker on this machine."""

import os
import socket
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import psutil

from infra.orchestration import services
from infra.orchestration.api import LOOPBACK, Api, wait_for
from infra.orchestration.provision import HEARTBEAT_SEC, POOL, provision
from infra.orchestration.report_server import served_root
from infra.orchestration.settings import (
    CLIENT_AUTH,
    SERVER_AUTH,
    Settings,
    export_line,
    password_file,
    server_auth,
)
from pipelines.errors import ConfigError

_AT_WORK: Final = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}

_CRASHED: Final = {
    "type": "CRASHED",
    "name": "Crashed",
    "message": "Its worker is gone. Run it again: it goes on where it stopped.",
}

# In the order in which they stop: a stopping worker still reports its runs to the server.
SERVICES: Final = ("worker", "reports", "server")

_START_SEC: Final = 120.0
_PATIENCE_SEC: Final = 20.0
# The variable in which a run's process has the id of its run.
_RUN_ID: Final = "PREFECT__FLOW_RUN_ID"


def crash_orphans(api: Api, *, alive: Collection[str]) -> int:
    """Mark the pool's runs that have no process as crashed, with their subflows.

    Args:
      alive: ids of the runs that still have a process.

    Returns:
      The number of runs that were marked.
    """
    runs = _ids(api, _AT_WORK, work_pools={"name": {"any_": [POOL]}})
    orphans = [run for run in runs if run not in alive]
    for orphan in orphans:
        subflows = _ids(api, {**_AT_WORK, "parent_flow_run_id": {"any_": [orphan]}})
        for run in (*subflows, orphan):
            api.post(f"flow_runs/{run}/set_state", {"state": _CRASHED, "force": True})
    return len(orphans)


def _ids(api: Api, flow_runs: dict[str, Any], **others: Any) -> list[str]:
    return [run["id"] for run in api.post("flow_runs/filter", {"flow_runs": flow_runs, **others})]


def up(given: Settings) -> list[str]:
    """Start what does not run, and set the server up.

    Returns:
      One line per service, then how to connect.

    Raises:
      ConfigError: the port is taken, or a service does not start.
    """
    auth = server_auth(given)
    api, env = Api(given.api_url, auth), client_environment(given, auth)
    _start_server(api, given, env)
    held = provision(api, given, env=env, in_file=not given.database)
    _start_reports(given, env, root=held.root)
    _start_worker(api, given, env)
    return [
        f"dashboard  {given.url}",
        f"log in     with {_login(given)}",
        f"nightly    {held.nightly}",
        f"logs       {given.state / 'logs'}",
        "",
        f"export PREFECT_API_URL={given.api_url}",
        export_line(given),
        "prefect deployment run retrain/manual -p train=FILE -p test=FILE --watch",
    ]


def down(given: Settings) -> list[str]:
    """Stop what `up` started, with all child processes; a stopped run resumes when run again.

    Returns:
      One line per service.
    """
    lines = []
    for name in SERVICES:
        found = services.started(given.state, name)
        main = services.running(given.state, name)
        # A worker ends its runs itself, where it is alive.
        services.end([main] if main else [], patience_sec=_PATIENCE_SEC)
        services.end(services.started(given.state, name), patience_sec=_PATIENCE_SEC)
        lines.append(f"{name:8} {'ended' if found else 'was not running'}")
    return lines


def client_environment(given: Settings, auth: str) -> dict[str, str]:
    """Return the environment in which `prefect` uses this server and runs work for it."""
    # The database's URL holds its password, which only the server needs.
    kept = {key: value for key, value in os.environ.items() if key != "NSYNTH_DATABASE"}
    # A proxy of the environment cannot reach a server of this machine. Of the two names each
    # library prefers another.
    set_before = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
    direct = ",".join(filter(None, (set_before, *LOOPBACK)))
    return {
        **kept,
        "PREFECT_HOME": str(given.state / "home"),
        "PREFECT_API_URL": given.api_url,
        CLIENT_AUTH: auth,
        "no_proxy": direct,
        "NO_PROXY": direct,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SEC),
        "NSYNTH_REPORTS_URL": given.reports_url,
    }


def url_of(server: psutil.Process) -> str:
    """Return the PREFECT_API_URL of a running server."""
    return services.environment(server).get("PREFECT_API_URL", "")


def auth_of(server: psutil.Process) -> str:
    """Return the USER:PASSWORD of a running server; empty where it has none."""
    return services.environment(server).get(SERVER_AUTH, "")


def _start_server(api: Api, given: Settings, env: dict[str, str]) -> None:
    server = services.running(given.state, "server")
    if server is not None and url_of(server) != given.api_url:
        raise ConfigError(f"a server runs at {url_of(server)}; end it first with `make down`")
    if server is not None and auth_of(server) != env[CLIENT_AUTH]:
        raise ConfigError(
            f"the server at {given.url} was started with another password, or with none; end it "
            "first with `make down`"
        )
    own = {
        SERVER_AUTH: env[CLIENT_AUTH],
        # Its own pages, by either name of this machine, and no others.
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": ",".join(
            f"http://{host}:{given.port}" for host in LOOPBACK
        ),
        # The pages of this version request nothing from other servers.
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        # Leases in memory would hold a deployment's slot permanently if the server were killed.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
    }
    if given.database:
        own["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = given.database
    command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(given.port))
    _start("server", command, given, env | own, port=given.port, answers=api.is_healthy)


def _start_reports(given: Settings, env: dict[str, str], *, root: str) -> None:
    port = given.port + 1
    roots = dict.fromkeys(served_root(root) for root in (root, *given.report_roots))
    command = ("python", "-m", "infra.orchestration.report_server", "--port", str(port), *roots)
    runs = services.running(given.state, "reports")
    # It stores nothing, so it is restarted where the roots differ.
    if runs is not None and runs.cmdline()[1:] != list(command[1:]):
        services.end(services.started(given.state, "reports"), patience_sec=_PATIENCE_SEC)
    own = {key: value for key, value in env.items() if key not in (SERVER_AUTH, CLIENT_AUTH)}
    _start("reports", command, given, own, port=port, answers=lambda: not _is_free(port))


def _start_worker(api: Api, given: Settings, env: dict[str, str]) -> None:
    if services.running(given.state, "worker") is None:
        left = services.started(given.state, "worker")
        crash_orphans(api, alive={services.environment(p).get(_RUN_ID, "") for p in left})

    def is_online() -> bool:
        workers = api.post(f"work_pools/{POOL}/workers/filter", {})
        return any(worker["status"] == "ONLINE" for worker in workers)

    command = ("prefect", "worker", "start", "--pool", POOL, "--name", "this machine")
    _start("worker", command, given, env, port=None, answers=is_online)


def _start(
    name: str,
    command: Sequence[str],
    given: Settings,
    env: dict[str, str],
    *,
    port: int | None,
    answers: Callable[[], bool],
) -> None:
    """Start a service unless it runs, and wait until it answers."""
    if services.running(given.state, name) is None:
        if port is not None and not _is_free(port):
            raise ConfigError(
                f"port {port} is in use; choose another, such as NSYNTH_PORT={port + 10}"
            )
        services.start(name, command, state=given.state, env=env)

    def is_gone() -> bool:
        return services.running(given.state, name) is None

    if not wait_for(lambda: answers() or is_gone(), seconds=_START_SEC) or is_gone():
        log = services.log_file(given.state, name)
        raise ConfigError(f"the {name} did not start; see the end of {log}")


def _login(given: Settings) -> str:
    return SERVER_AUTH if given.auth else f"the line in {password_file(given.state)}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: connections that just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
