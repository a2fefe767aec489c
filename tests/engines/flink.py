"""A Flink cluster of one job manager and two task managers, from Flink's own jars."""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.engines.settings import CHECKOUT, folder
from tests.engines.processes import free_port, started, wait_until

JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

# What Flink's scripts would work out; without them each has to be said.
TASK_MANAGER_SIZES = {
    "taskmanager.cpu.cores": "1",
    "taskmanager.numberOfTaskSlots": "1",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.task.heap.size": "384m",
    "taskmanager.memory.task.off-heap.size": "64m",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
    "taskmanager.memory.managed.size": "128m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "192m",
    "taskmanager.memory.jvm-overhead.max": "192m",
}
# Flink's own start scripts open the same on Java 17.
OPENS = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.util")
]


@contextmanager
def flink_cluster(place: Path, env: Mapping[str, str]) -> Iterator[str]:
    """The cluster; yields HOST:PORT of its REST interface.

    Args:
      env: the environment of the workers, which task managers start.
    """
    java = shutil.which("java") or "java"
    conf = place / "conf"
    # The strategy of restarts that a job of its own has, a cluster has to have too.
    shutil.copytree(CHECKOUT / "infra" / "engines" / "flink-conf", conf)
    rpc, rest, blobs = free_port(), free_port(), free_port()
    shared = {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": str(rpc),
        "blob.server.port": str(blobs),
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.bind-port": str(rest),
        "rest.port": str(rest),
        "heartbeat.timeout": "20000",
    }
    bind = {"jobmanager.bind-host": "127.0.0.1", "jobmanager.memory.process.size": "1024m"}
    command = [java, "-Xmx512m", *OPENS, "-cp", f"{folder() / 'flink'}/*"]

    def arguments(options: Mapping[str, str]) -> list[str]:
        return ["--configDir", str(conf), *(f"-D{key}={value}" for key, value in options.items())]

    with ExitStack() as stack:
        stack.enter_context(
            started(
                [*command, JOB_MANAGER, *arguments({**shared, **bind})],
                log=place / "job-manager.log",
                cwd=place,
                env=env,
                port=rest,
            )
        )
        for number in (1, 2):
            own = {
                "taskmanager.host": "127.0.0.1",
                "taskmanager.bind-host": "127.0.0.1",
                "taskmanager.resource-id": f"tm{number}",
                "io.tmp.dirs": str(place / f"tmp{number}"),
            }
            stack.enter_context(
                started(
                    [*command, TASK_MANAGER, *arguments({**shared, **TASK_MANAGER_SIZES, **own})],
                    log=place / f"task-manager-{number}.log",
                    cwd=place,
                    env=env,
                )
            )
        wait_until(lambda: num_slots(f"127.0.0.1:{rest}") == 2, seconds=90)
        yield f"127.0.0.1:{rest}"


def jobs(rest: str) -> dict[str, str]:
    """The state of each job of a cluster."""
    return {job["id"]: job["status"] for job in _get(rest, "jobs")["jobs"]}


def num_slots(rest: str) -> int:
    """How many slots its task managers have so far."""
    try:
        return int(_get(rest, "overview")["slots-total"])
    except urllib.error.URLError:
        return 0  # it is not there yet, or answers before it is ready


def _get(rest: str, what: str) -> dict:  # type: ignore[type-arg] # JSON
    with urllib.request.urlopen(f"http://{rest}/{what}", timeout=10) as answer:
        return json.loads(answer.read())  # type: ignore[no-any-return] # JSON
