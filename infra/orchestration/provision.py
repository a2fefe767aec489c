"""Set up what a server should have. May be repeated; changes only what differs."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate, WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

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


def automations(*, in_file: bool) -> list[AutomationCore]:
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
) -> AutomationCore:
    # Built from plain values, since the client sends only the fields that were set: in a model
    # that was built from models these would lack their `type`.
    return AutomationCore.model_validate(
        {
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
    )


@dataclass(frozen=True)
class Held:
    """Values of a server after its set-up.

    Attributes:
      nightly: a sentence on the nightly schedule, which is on only where its sources exist.
      root: the root of the deployments' runs, relative to the checkout.
    """

    nightly: str
    root: str


def provision(
    client: SyncPrefectClient, config: Settings, *, env: Mapping[str, str], in_file: bool
) -> Held:
    """Create or update pool, queues, variables, automations and deployments.

    Args:
      client: of the server, as `connect` yields it.
      in_file: whether the server's database is a file.
      env: the environment in which the `prefect` command uses that server.
    """
    _set_pool(client)
    for name, (limit, purpose) in QUEUES.items():
        _set_queue(client, name, limit=limit, description=purpose)
    values = _set_variables(client, config)
    _set_automations(client, in_file=in_file)
    _deploy(env)
    return Held(nightly=_set_nightly(client, values), root=values["nsynth_root"])


def _set_pool(client: SyncPrefectClient) -> None:
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        # Importing a worker costs a second, once per server.
        from prefect.workers.process import ProcessWorker  # noqa: PLC0415

        template = ProcessWorker.get_default_base_job_template()
        pool = WorkPoolCreate(name=POOL, type="process", base_job_template=template)
        client.create_work_pool(pool)


def _set_queue(client: SyncPrefectClient, name: str, *, limit: int, description: str) -> None:
    try:
        queue = client.read_work_queue_by_name(name, work_pool_name=POOL)
    except ObjectNotFound:
        client.create_work_queue(
            name, concurrency_limit=limit, description=description, work_pool_name=POOL
        )
    else:
        client.update_work_queue(queue.id, concurrency_limit=limit, description=description)


def _set_variables(client: SyncPrefectClient, config: Settings) -> dict[str, str]:
    """Set the given variables; the others keep their values."""
    wanted = {
        "nsynth_checkout": str(CHECKOUT),
        "nsynth_root": config.root,
        "nsynth_train": config.train,
        "nsynth_test": config.test,
    }
    values: dict[str, str] = {}
    for name, value in wanted.items():
        stored = client.read_variable_by_name(name)
        values[name] = value or (str(stored.value) if stored else VARIABLES[name])
        if stored is None:
            client.create_variable(VariableCreate(name=name, value=values[name]))
        elif stored.value != values[name]:
            client.update_variable(VariableUpdate(name=name, value=values[name]))
    return values


def _set_automations(client: SyncPrefectClient, *, in_file: bool) -> None:
    stored = {automation.name: automation for automation in client.read_automations()}
    for wanted in automations(in_file=in_file):
        present = stored.get(wanted.name)
        if present is None:
            client.create_automation(wanted)
        # Replacing one locks a database in a file against the events that come in.
        elif AutomationCore.model_validate(present.model_dump()) != wanted:
            client.update_automation(present.id, wanted)


def _set_nightly(client: SyncPrefectClient, values: Mapping[str, str]) -> str:
    missing = ""
    try:
        find_sources([values["nsynth_train"]])
        find_sources([values["nsynth_test"]])
    except (PipelineError, OSError) as err:
        missing = str(err)
    nightly = client.read_deployment_by_name("retrain/nightly")
    crons: list[str] = []
    for one in nightly.schedules:
        client.update_deployment_schedule(nightly.id, one.id, active=not missing)
        if isinstance(one.schedule, CronSchedule):
            crons.append(one.schedule.cron)
    if missing:
        return f"off: {missing}; name its sources with NSYNTH_TRAIN and NSYNTH_TEST"
    times = ", ".join(crons)
    return f"on ({times} UTC): {values['nsynth_train']}, tested on {values['nsynth_test']}"


def _deploy(env: Mapping[str, str]) -> None:
    arguments = ("--no-prompt", "deploy", "--prefect-file", "infra/prefect.yaml", "--all")
    done = subprocess.run(  # noqa: S603 - a command of this environment
        [str(BIN / "prefect"), *arguments],
        cwd=CHECKOUT,
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        output = " ".join((done.stdout + done.stderr).split())[-500:]
        raise ConfigError(f"`prefect {' '.join(arguments)}` failed: {output}")
