"""Brings a server to what it should hold; may be repeated, and changes only what differs."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.orchestration.api import Api
from infra.orchestration.services import BIN
from infra.orchestration.settings import CHECKOUT, Settings
from infra.orchestration.wanted import POOL, QUEUES, VARIABLES, automations
from pipelines.convert.reading.sources import find_sources
from pipelines.errors import ConfigError, PipelineError


@dataclass(frozen=True)
class Held:
    """What a server holds after its set-up.

    Attributes:
      nightly: a sentence on the nightly schedule, which is on only where its sources are found.
      root: of the deployments' runs; relative to the checkout.
    """

    nightly: str
    root: str


def provision(api: Api, given: Settings, *, env: Mapping[str, str], in_file: bool) -> Held:
    """Makes pool, queues, variables, automations and deployments.

    Args:
      in_file: whether the server's database is a file.
      env: in which the `prefect` command talks to that server.
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
    """Sets what is given; what is not given keeps the value that it has."""
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
    """Whether an answer says all that is wanted; it may say more, and lists in another order."""
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
