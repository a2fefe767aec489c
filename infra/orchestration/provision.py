"""Set up what a server should have. May be repeated; changes only what differs."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.orchestration.api import Api
from infra.orchestration.services import BIN
from infra.orchestration.settings import CHECKOUT, Settings
from pipelines.convert.reading.sources import find_sources
from pipelines.errors import ConfigError, PipelineError

POOL: Final = "nsynth"

# Name to the number of runs at a time, and the reason.
QUEUES: Final[Mapping[str, tuple[int, str]]] = {
    "gpu": (1, "What trains: one run at a time, since two would not fit on a GPU together."),
    "cpu": (2, "What only converts and validates."),
}

# Name to the default value; paths are relative to the checkout.
VARIABLES: Final[Mapping[str, str]] = {
    "nsynth_root": "data",
    "nsynth_train": "nsynth-valid.tfrecord",
    "nsynth_test": "nsynth-test.tfrecord",
}

# Between two heartbeats of a run; the minimum of Prefect.
HEARTBEAT_SEC: Final = 30

# Two heartbeats, and half of one for a busy machine.
SILENCE_SEC: Final = 75

# The longest time from the submission of a run to its first event.
START_SEC: Final = 180

_RUN: Final = "prefect.flow-run"

# Not a wildcard: each event that an automation matches is written. A database in a file refuses
# writes while others write. Those of a heartbeat then wait, but those of an end are given up after
# five attempts. An action that then fires for a run that has ended is refused and does no harm.
_ENDS: Final = ("Completed", "Failed", "Crashed", "Cancelled")


def automations(*, in_file: bool) -> list[dict[str, Any]]:
    """Return the automations that mark runs whose process was killed as crashed.

    Prefect notices that a process is gone only while its worker lives. Without these, such a run
    would stay running permanently and keep its place in the queue.

    Args:
      in_file: whether the server's database is a file, and so may lose an event (see above). A
        lost start event would end a valid run, so starts are not watched there: `up` itself looks
        for runs without a process.
    """
    silent = _crash(
        "A run that has become silent has crashed",
        f"While a run runs it gives a sign of life each {HEARTBEAT_SEC} s. After {SILENCE_SEC} s "
        "without one its process is gone.",
        after=["heartbeat"],
        expect=["heartbeat", *_ENDS],
        within_sec=SILENCE_SEC,
    )
    unstarted = _crash(
        "A run that does not start has crashed",
        f"A worker took the run and was gone before it began: {START_SEC} s without a sign.",
        after=["Pending"],
        expect=["Running", "heartbeat", *_ENDS],
        within_sec=START_SEC,
    )
    return [silent] if in_file else [silent, unstarted]


def _crash(
    name: str, description: str, *, after: list[str], expect: list[str], within_sec: int
) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "match": {"prefect.resource.id": f"{_RUN}.*"},
            "for_each": ["prefect.resource.id"],
            "after": [f"{_RUN}.{event}" for event in after],
            "expect": [f"{_RUN}.{event}" for event in expect],
            "threshold": 1,
            "within": within_sec,
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": "CRASHED",
                "message": f"{name}. Run it again: it goes on where it stopped.",
            }
        ],
    }


@dataclass(frozen=True)
class Held:
    """Values of a server after its set-up.

    Attributes:
      nightly: a sentence on the nightly schedule, which is on only where its sources exist.
      root: the root of the deployments' runs, relative to the checkout.
    """

    nightly: str
    root: str


def provision(api: Api, given: Settings, *, env: Mapping[str, str], in_file: bool) -> Held:
    """Create or update pool, queues, variables, automations and deployments.

    Args:
      in_file: whether the server's database is a file.
      env: the environment in which the `prefect` command uses that server.
    """
    if api.get(f"work_pools/{POOL}") is None:
        _prefect("work-pool", "create", POOL, "--type", "process", env=env)
    for name, (limit, why) in QUEUES.items():
        _set_queue(api, name, limit=limit, description=why)
    values = _set_variables(api, given)
    _set_automations(api, in_file=in_file)
    _prefect("--no-prompt", "deploy", "--prefect-file", "infra/prefect.yaml", "--all", env=env)
    return Held(nightly=_set_nightly(api, values), root=values["nsynth_root"])


def _set_queue(api: Api, name: str, *, limit: int, description: str) -> None:
    queues = f"work_pools/{POOL}/queues"
    content = {"concurrency_limit": limit, "description": description}
    if api.get(f"{queues}/{name}") is None:
        api.post(queues, {"name": name, **content})
    else:
        api.patch(f"{queues}/{name}", content)


def _set_variables(api: Api, given: Settings) -> dict[str, str]:
    """Set the given variables; the others keep their values."""
    wanted = {
        "nsynth_checkout": str(CHECKOUT),
        "nsynth_root": given.root,
        "nsynth_train": given.train,
        "nsynth_test": given.test,
    }
    values: dict[str, str] = {}
    for name, value in wanted.items():
        stored = api.get(f"variables/name/{name}")
        values[name] = value or (stored["value"] if stored else VARIABLES[name])
        if stored is None:
            api.post("variables/", {"name": name, "value": values[name]})
        elif stored["value"] != values[name]:
            api.patch(f"variables/name/{name}", {"value": values[name]})
    return values


def _set_automations(api: Api, *, in_file: bool) -> None:
    stored = {found["name"]: found for found in api.post("automations/filter", {})}
    for wanted in automations(in_file=in_file):
        found = stored.get(wanted["name"])
        if found is None:
            api.post("automations/", wanted)
        # Replacing one locks a database in a file against the events that come in.
        elif not holds(found, wanted):
            api.put(f"automations/{found['id']}", wanted)


def holds(found: Any, wanted: Any) -> bool:
    """Return whether an answer contains all that is wanted, in any order and with anything more."""
    if isinstance(wanted, dict):
        return all(name in found and holds(found[name], wanted[name]) for name in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(any(holds(f, w) for f in found) for w in wanted)
    return bool(found == wanted)


def _set_nightly(api: Api, values: Mapping[str, str]) -> str:
    nightly = api.get("deployments/name/retrain/nightly")
    missing = ""
    try:
        find_sources([values["nsynth_train"]])
        find_sources([values["nsynth_test"]])
    except (PipelineError, OSError) as err:
        missing = str(err)
    for schedule in nightly["schedules"]:
        path = f"deployments/{nightly['id']}/schedules/{schedule['id']}"
        api.patch(path, {"active": not missing})
    cron = nightly["schedules"][0]["schedule"]["cron"]
    if missing:
        return f"off: {missing}; name its sources with NSYNTH_TRAIN and NSYNTH_TEST"
    return f"on ({cron} UTC): {values['nsynth_train']}, tested on {values['nsynth_test']}"


def _prefect(*arguments: str, env: Mapping[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - a command of this environment
        [str(BIN / "prefect"), *arguments],
        cwd=CHECKOUT,
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())[-500:]
        raise ConfigError(f"`prefect {' '.join(arguments)}` failed: {said}")
