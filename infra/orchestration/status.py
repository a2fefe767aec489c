"""Summarise running, queued and scheduled runs in a few lines."""

from typing import Any

from infra.orchestration import services
from infra.orchestration.api import Api
from infra.orchestration.local_stack import auth_of, url_of
from infra.orchestration.provision import POOL, QUEUES
from infra.orchestration.settings import Settings


def status(given: Settings) -> list[str]:
    """Return one line per service, queue and run."""
    server = services.running(given.state, "server")
    if server is None:
        return ["server  not running; start it with `make up`"]
    worker = services.running(given.state, "worker")
    api = Api(url_of(server), auth_of(server))
    if not api.is_healthy():
        return [f"server  pid {server.pid}, does not answer; see {given.state / 'logs'}"]
    return [
        f"server  pid {server.pid}, {api.url.removesuffix('/api')}",
        f"worker  {f'pid {worker.pid}' if worker else 'not running; start it with `make up`'}",
        *(f"queue   {_queue(api, name)}" for name in QUEUES),
        *(f"run     {_run(run)}" for run in _runs(api)),
    ]


def _queue(api: Api, name: str) -> str:
    queue = api.get(f"work_pools/{POOL}/queues/{name}")
    active = {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}
    waiting = {"state": {"name": {"any_": ["Late"]}}}
    here = {"work_pool_queues": {"name": {"any_": [name]}}}
    num_active = api.post("flow_runs/count", {"flow_runs": active, **here})
    num_waiting = api.post("flow_runs/count", {"flow_runs": waiting, **here})
    return f"{name}: {num_active} of {queue['concurrency_limit']} at work, {num_waiting} waiting"


def _runs(api: Api) -> list[dict[str, Any]]:
    """Return the next scheduled run, then the latest ones."""
    top = {"parent_task_run_id": {"is_null_": True}}
    scheduled = {**top, "state": {"type": {"any_": ["SCHEDULED"]}}}
    begun = {**top, "start_time": {"is_null_": False}}
    coming = {"flow_runs": scheduled, "sort": "NEXT_SCHEDULED_START_TIME_ASC", "limit": 1}
    latest = {"flow_runs": begun, "sort": "START_TIME_DESC", "limit": 5}
    return [*api.post("flow_runs/filter", coming), *api.post("flow_runs/filter", latest)]


def _run(run: dict[str, Any]) -> str:
    moment = run["start_time"] or run["next_scheduled_start_time"]
    return f"{moment[:16].replace('T', ' ')} UTC  {run['state']['name']}: {run['name']}"
