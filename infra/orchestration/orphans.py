"""Runs whose process is gone and whom nobody watches any more.

The automations tell them by their silence, but only those that the server itself has heard since
it started. So before a worker starts, the runs of the workers before it are looked at once.
"""

from collections.abc import Collection
from typing import Any, Final

from infra.orchestration.api import Api
from infra.orchestration.wanted import POOL

_AT_WORK: Final = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}

_CRASHED: Final = {
    "type": "CRASHED",
    "name": "Crashed",
    "message": "Its worker is gone. Run it again: it goes on where it stopped.",
}


def crash_orphans(api: Api, *, alive: Collection[str]) -> int:
    """Ends the pool's runs that no process runs, with their subflows.

    Args:
      alive: ids of the runs that a process still runs.

    Returns:
      How many runs of the pool it ended.
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
