"""The services of the compose file's profile flink, without a container engine.

Each is a process in a network of its own, with the names, settings and arguments of
infra/compose.yaml. What differs: all see the files of this machine, Flink and its job server are
those of `make engines`, and Flink is told its memory.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from infra.engines.settings import CHECKOUT, folder, job_server_jar, program, python
from tests.engines.flink import JOB_MANAGER, OPENS, TASK_MANAGER, TASK_MANAGER_SIZES, num_slots
from tests.engines.namespaces import Networks, networks
from tests.engines.processes import started, wait_until

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(
    (CHECKOUT / "infra" / "compose.yaml").read_text()
)["services"]
POOLS = ("beam-workers-1", "beam-workers-2")
USER, PASSWORD = "nsynth", "nsynth-secret"  # of a store that lives as long as the tests

_BASE = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
_PORTS = {"storage": 9000, "beam-job-server": 8099}


@dataclass
class Composed:
    """The services at work.

    Attributes:
      running: the process of each.
    """

    place: Path
    net: Networks
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def num_started(self, pool: str) -> int:
        """Workers that a pool started so far."""
        log = (self.place / f"{pool}.log").read_text()
        return log.count("Starting worker with command")

    def kill_workers(self, pool: str) -> None:
        """Kills what a pool started, and not the pool."""
        workers = psutil.Process(self.running[pool].pid).children(recursive=True)
        assert workers
        for worker in workers:
            worker.kill()

    def worker(self) -> dict[str, str]:
        """The environment of the flow worker, as far as a conversion looks at it."""
        return {**_BASE, **_environment("worker"), "PYTHONPATH": str(CHECKOUT)}


@contextmanager
def composed(place: Path) -> Iterator[Composed]:
    """All of them, from when Flink has its task managers."""
    beam = place / "opt" / "apache" / "beam"
    beam.mkdir(parents=True)
    shutil.copy(program("boot"), beam)
    (place / "conf").mkdir()
    (place / "conf" / "config.yaml").write_text("rest:\n  bind-address: 0.0.0.0\n")
    java = shutil.which("java") or "java"
    with ExitStack() as stack:
        net = stack.enter_context(networks(place))
        for service in ("storage", "flink-job-manager", "beam-job-server", *POOLS, "worker"):
            net.add(service)
        made = Composed(place, net)

        def start(service: str, command: Sequence[str | Path], env: Mapping[str, str]) -> None:
            network = SERVICES[service].get("network_mode", service).removeprefix("service:")
            programs = place / "opt" if service in POOLS else None
            log = place / f"{service}.log"
            inside = net.command(network, command, programs=programs)
            own = {**_BASE, **env}
            process = started(inside, log=log, cwd=place, env=own, is_exposed=service not in POOLS)
            made.running[service] = stack.enter_context(process)

        # The compose file's service "bucket" makes this folder.
        (place / "data" / "nsynth").mkdir(parents=True)
        storage = [str(program("versitygw")), *_arguments("storage", place)]
        start("storage", storage, _environment("storage"))
        start("flink-job-manager", _flink("flink-job-manager", place), {})
        for number, pool in enumerate(POOLS, 1):
            start(pool, [*SERVICES[pool]["entrypoint"], *_arguments(pool, place)], _pool(pool))
            start(name := f"flink-task-manager-{number}", _flink(name, place), {})
        jobs: list[str | Path] = [
            java,
            "-jar",
            job_server_jar(),
            *_arguments("beam-job-server", place),
        ]
        start("beam-job-server", jobs, {})
        rest = f"{net.addresses['flink-job-manager']}:8081"
        wait_until(lambda: num_slots(rest) == 2, seconds=120, every_sec=1)
        for service, port in _PORTS.items():
            address = (net.addresses[service], port)
            wait_until(lambda at=address: _answers(at), seconds=60, every_sec=1)  # type: ignore[misc]
        yield made


def _arguments(service: str, place: Path) -> list[str]:
    """A service's arguments, with the folders of its container in one of ours."""
    folders = {"/data": f"{place}/data", "--artifacts-dir=/artifacts": f"--artifacts-dir={place}/a"}
    return [folders.get(argument, argument) for argument in SERVICES[service]["command"]]


def _environment(service: str) -> dict[str, str]:
    """What compose puts into a service's environment."""
    secrets = {"S3_USER": USER, "S3_PASSWORD": PASSWORD}
    found: dict[str, str] = SERVICES[service]["environment"]
    return {
        name: secrets[value[2:].partition(":")[0]] if value.startswith("${") else value
        for name, value in found.items()
        if not name.startswith(("PREFECT", "NSYNTH"))
    }


def _pool(service: str) -> dict[str, str]:
    # The image has no other Python, and says the second to Beam's boot program.
    path = f"{python('worker').parent}:{_BASE['PATH']}"
    return {**_environment(service), "PATH": path, "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT": "1"}


def _flink(service: str, place: Path) -> list[str | Path]:
    """Flink with the properties of compose; what its image adds is said here."""
    lines = SERVICES[service]["environment"]["FLINK_PROPERTIES"].splitlines()
    options = dict(line.split(": ", 1) for line in lines)
    if service == "flink-job-manager":
        main = JOB_MANAGER
        options |= {"jobmanager.bind-host": "0.0.0.0", "rest.address": "0.0.0.0"}  # noqa: S104
        options |= {"jobmanager.memory.process.size": "1024m"}
    else:
        main = TASK_MANAGER
        options |= TASK_MANAGER_SIZES
        options |= {"taskmanager.bind-host": "0.0.0.0", "io.tmp.dirs": f"{place}/{service}"}  # noqa: S104
    java = shutil.which("java") or "java"
    given = [f"-D{key}={value}" for key, value in options.items()]
    jars = f"{folder() / 'flink'}/*"
    conf = ("--configDir", place / "conf")
    return [java, "-Xmx512m", *OPENS, "-cp", jars, main, *conf, *given]


def _answers(address: tuple[str, int]) -> bool:
    with socket.socket() as asking:
        asking.settimeout(1)
        return asking.connect_ex(address) == 0
