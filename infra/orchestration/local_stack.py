"""Start, stop and describe a server, a report server and a worker on this machine."""

import os
import socket
from collections.abc import Callable, Collection, Sequence
from typing import Final

import psutil
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterParentTaskRunId,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
    WorkQueueFilter,
    WorkQueueFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, WorkerStatus
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Crashed

from infra.orchestration import services
from infra.orchestration.provision import HEARTBEAT_SEC, POOL, QUEUES, provision
from infra.orchestration.report_server import served_root
from infra.orchestration.services import wait_for
from infra.orchestration.settings import (
    CLIENT_AUTH,
    SERVER_AUTH,
    Settings,
    export_line,
    password_file,
    server_auth,
)
from infra.prefect_server import connect, is_healthy
from pipelines.errors import ConfigError
from pipelines.loopback import bypass_proxies

# In the order in which they stop: a stopping worker still reports its runs to the server.
SERVICES: Final = ("worker", "reports", "server")

_START_SEC: Final = 120.0
_PATIENCE_SEC: Final = 20.0
# The variable in which a run's process has the id of its run.
_RUN_ID: Final = "PREFECT__FLOW_RUN_ID"


def crash_orphans(client: SyncPrefectClient, *, alive: Collection[str]) -> int:
    """Mark the pool's runs that have no process as crashed, with their subflows.

    Args:
      alive: ids of the runs that still have a process.

    Returns:
      The number of runs that were marked.
    """
    at_work = _in_states(StateType.RUNNING, StateType.PENDING, StateType.CANCELLING)
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    runs = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=at_work), work_pool_filter=pool
    )
    orphans = [run for run in runs if str(run.id) not in alive]
    crashed: State[None] = Crashed(
        message="Its worker is gone. Run it again: it goes on where it stopped."
    )
    for orphan in orphans:
        parent = FlowRunFilterParentFlowRunId(any_=[orphan.id])
        subflows = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=at_work, parent_flow_run_id=parent)
        )
        for run in (*subflows, orphan):
            client.set_flow_run_state(run.id, crashed, force=True)
    return len(orphans)


def up(config: Settings) -> list[str]:
    """Start what does not run, and set the server up.

    Returns:
      One line per service, then how to connect.

    Raises:
      ConfigError: the port is taken, or a service does not start.
    """
    auth = server_auth(config)
    env = client_environment(config, auth)
    _start_server(config, env)
    with connect(config.api_url, auth) as client:
        held = provision(client, config, env=env, in_file=not config.database)
        _start_reports(config, env, root=held.root)
        _start_worker(client, config, env)
    return [
        f"dashboard  {config.url}",
        f"log in     with {_login(config)}",
        f"nightly    {held.nightly}",
        f"logs       {config.state / 'logs'}",
        "",
        f"export PREFECT_API_URL={config.api_url}",
        export_line(config),
        "prefect deployment run retrain/manual -p train=FILE -p test=FILE --watch",
    ]


def down(config: Settings) -> list[str]:
    """Stop what `up` started, with all child processes; a stopped run resumes when run again.

    Returns:
      One line per service.
    """
    lines = []
    for name in SERVICES:
        processes = services.started(config.state, name)
        main = services.running(config.state, name)
        # A worker ends its runs itself, where it is alive.
        services.end([main] if main else [], patience_sec=_PATIENCE_SEC)
        services.end(services.started(config.state, name), patience_sec=_PATIENCE_SEC)
        lines.append(f"{name:8} {'ended' if processes else 'was not running'}")
    return lines


def client_environment(config: Settings, auth: str) -> dict[str, str]:
    """Return the environment in which `prefect` uses this server and runs work for it."""
    bypass_proxies()
    # The database's URL holds its password, which only the server needs.
    inherited = {key: value for key, value in os.environ.items() if key != "NSYNTH_DATABASE"}
    return {
        **inherited,
        "PREFECT_HOME": str(config.state / "home"),
        "PREFECT_API_URL": config.api_url,
        CLIENT_AUTH: auth,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SEC),
        "NSYNTH_REPORTS_URL": config.reports_url,
    }


def status(config: Settings) -> list[str]:
    """Return one line per service, queue and run."""
    server = services.running(config.state, "server")
    if server is None:
        return ["server  not running; start it with `make up`"]
    url = _url(server)
    if not is_healthy(url):
        return [f"server  pid {server.pid}, does not answer; see {config.state / 'logs'}"]
    worker = services.running(config.state, "worker")
    with connect(url, _auth(server)) as client:
        return [
            f"server  pid {server.pid}, {url.removesuffix('/api')}",
            f"worker  {f'pid {worker.pid}' if worker else 'not running; start it with `make up`'}",
            *(f"queue   {_describe_queue(client, name)}" for name in QUEUES),
            *(f"run     {_describe_run(run)}" for run in _recent_runs(client)),
        ]


def _describe_queue(client: SyncPrefectClient, name: str) -> str:
    queue = client.read_work_queue_by_name(name, work_pool_name=POOL)
    here = WorkQueueFilter(name=WorkQueueFilterName(any_=[name]))
    late = FlowRunFilterState(name=FlowRunFilterStateName(any_=["Late"]))
    num_active, num_waiting = (
        client.count_flow_runs(flow_run_filter=FlowRunFilter(state=state), work_queue_filter=here)
        for state in (_in_states(StateType.RUNNING, StateType.PENDING), late)
    )
    return f"{name}: {num_active} of {queue.concurrency_limit} at work, {num_waiting} waiting"


def _recent_runs(client: SyncPrefectClient) -> list[FlowRun]:
    """Return the next scheduled run, then the latest ones."""
    top = FlowRunFilterParentTaskRunId(is_null_=True)
    scheduled = FlowRunFilter(parent_task_run_id=top, state=_in_states(StateType.SCHEDULED))
    begun = FlowRunFilter(parent_task_run_id=top, start_time=FlowRunFilterStartTime(is_null_=False))
    return [
        *client.read_flow_runs(
            flow_run_filter=scheduled, sort=FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC, limit=1
        ),
        *client.read_flow_runs(flow_run_filter=begun, sort=FlowRunSort.START_TIME_DESC, limit=5),
    ]


def _describe_run(run: FlowRun) -> str:
    moment = run.start_time or run.next_scheduled_start_time
    return f"{moment:%Y-%m-%d %H:%M} UTC  {run.state_name}: {run.name}"


def _in_states(*types: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types)))


def _url(server: psutil.Process) -> str:
    """Return the PREFECT_API_URL of a running server."""
    return services.environment(server).get("PREFECT_API_URL", "")


def _auth(server: psutil.Process) -> str:
    """Return the USER:PASSWORD of a running server; empty where it has none."""
    return services.environment(server).get(SERVER_AUTH, "")


def _start_server(config: Settings, env: dict[str, str]) -> None:
    server = services.running(config.state, "server")
    if server is not None and _url(server) != config.api_url:
        raise ConfigError(f"a server runs at {_url(server)}; end it first with `make down`")
    if server is not None and _auth(server) != env[CLIENT_AUTH]:
        raise ConfigError(
            f"the server at {config.url} was started with another password, or with none; end it "
            "first with `make down`"
        )
    own = {
        SERVER_AUTH: env[CLIENT_AUTH],
        # Its own pages, by either name of this machine, and no others.
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": ",".join(
            f"http://{host}:{config.port}" for host in ("127.0.0.1", "localhost")
        ),
        # The pages of this version request nothing from other servers.
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        # Leases in memory would hold a deployment's slot permanently if the server were killed.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
    }
    if config.database:
        own["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = config.database
    command = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(config.port))
    _start(
        "server",
        command,
        config,
        env | own,
        port=config.port,
        answers=lambda: is_healthy(config.api_url),
    )


def _start_reports(config: Settings, env: dict[str, str], *, root: str) -> None:
    port = config.port + 1
    roots = dict.fromkeys(served_root(root) for root in (root, *config.report_roots))
    command = ("python", "-m", "infra.orchestration.report_server", "--port", str(port), *roots)
    runs = services.running(config.state, "reports")
    # It stores nothing, so it is restarted where the roots differ.
    if runs is not None and runs.cmdline()[1:] != list(command[1:]):
        services.end(services.started(config.state, "reports"), patience_sec=_PATIENCE_SEC)
    own = {key: value for key, value in env.items() if key not in (SERVER_AUTH, CLIENT_AUTH)}
    _start("reports", command, config, own, port=port, answers=lambda: not _is_free(port))


def _start_worker(client: SyncPrefectClient, config: Settings, env: dict[str, str]) -> None:
    if services.running(config.state, "worker") is None:
        remaining = services.started(config.state, "worker")
        alive = {services.environment(process).get(_RUN_ID, "") for process in remaining}
        crash_orphans(client, alive=alive)

    def is_online() -> bool:
        workers = client.read_workers_for_work_pool(POOL)
        return any(worker.status == WorkerStatus.ONLINE for worker in workers)

    command = ("prefect", "worker", "start", "--pool", POOL, "--name", "this machine")
    _start("worker", command, config, env, port=None, answers=is_online)


def _start(
    name: str,
    command: Sequence[str],
    config: Settings,
    env: dict[str, str],
    *,
    port: int | None,
    answers: Callable[[], bool],
) -> None:
    """Start a service unless it runs, and wait until it answers."""
    if services.running(config.state, name) is None:
        if port is not None and not _is_free(port):
            raise ConfigError(
                f"port {port} is in use; choose another, such as NSYNTH_PORT={port + 10}"
            )
        services.start(name, command, state=config.state, env=env)

    def is_gone() -> bool:
        return services.running(config.state, name) is None

    if not wait_for(lambda: answers() or is_gone(), seconds=_START_SEC) or is_gone():
        log = services.log_file(config.state, name)
        raise ConfigError(f"the {name} did not start; see the end of {log}")


def _login(config: Settings) -> str:
    return SERVER_AUTH if config.auth else f"the line in {password_file(config.state)}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: connections that just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
