"""Real engines and a real store, each of its own processes; what is not installed is skipped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import s3fs

from infra.engines.settings import folder, program, python
from infra.sample.splits import write_splits
from tests.engines.flink import flink_cluster
from tests.engines.processes import free_port, started
from tests.engines.s3_server import PASSWORD, USER, client, s3_server
from tests.listening import Listeners, listeners

BIN = Path(sys.executable).parent

# A generated split has defects enough to look like a broken one.
LENIENT = ("--max-quarantined", "0.5")


def installed(part: str) -> None:
    """Skips a test whose engine is not there."""
    if not list(folder().glob(f".{part}@*")):
        pytest.skip(f"{part} is not installed: `make engines` says why")


@dataclass
class Store:
    """A bucket on an S3 server of this test session, with sources in it."""

    env: Mapping[str, str]
    fs: s3fs.S3FileSystem
    sources: dict[str, list[str]] = field(default_factory=dict)

    def num_shards(self, root: str) -> int:
        try:
            # One listing: a pattern would ask for each folder, while the conversion goes on.
            found = self.fs.find(f"{root}/notes")
        except FileNotFoundError:
            return 0
        return sum("/data/part-" in name for name in found)

    def digests(self, manifest_uri: str) -> tuple[str, str]:
        """The manifest's digest of what was read, and that of the stored samples."""
        manifest = json.loads(self.fs.cat_file(manifest_uri))
        return manifest["manifest_digest"], manifest["samples_digest"]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    installed("versitygw")
    with s3_server(tmp_path_factory.mktemp("s3")) as env:
        fs = client(env)
        yield Store(env, fs, _uploaded(fs, tmp_path_factory.mktemp("source")))


def _uploaded(fs: s3fs.S3FileSystem, place: Path) -> dict[str, list[str]]:
    """The sources by name: generated notes, and NSynth's own where these are at hand."""
    write_splits(str(place), {"train": 300, "valid": 40, "test": 40})
    files = {"generated": [place / "nsynth-train.tfrecord"]}
    if real := os.environ.get("NSYNTH_REAL"):
        files["real"] = sorted(Path(real).glob("nsynth-*.tfrecord"))
    for name, paths in files.items():
        for path in paths:
            fs.put_file(str(path), f"nsynth/source/{name}/{path.name}")
    return {
        name: [f"s3://nsynth/source/{name}/{path.name}" for path in paths]
        for name, paths in files.items()
    }


@dataclass
class Submitter:
    """`nsynth convert` in a process of its own; what it and its engine listen on is noted."""

    env: Mapping[str, str]
    cwd: Path
    begun: list[subprocess.Popen[str]] = field(default_factory=list)
    watched: ExitStack = field(default_factory=ExitStack)
    listening: list[Listeners] = field(default_factory=list)

    def start(self, sources: list[str], *arguments: str, root: str) -> subprocess.Popen[str]:
        return self.begin("-v", "convert", *sources, "--root", root, *LENIENT, *arguments, "--json")

    def begin(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Any command, in the environment of the store."""
        process = subprocess.Popen(
            [str(BIN / "nsynth"), *arguments],
            env={**os.environ, **self.env, **environment},
            cwd=self.cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.begun.append(process)
        self.listening.append(self.watched.enter_context(listeners(process.pid, every_sec=0.1)))
        return process

    def end(self) -> None:
        """End what a failed test left; nothing listened where other machines reach it."""
        for process in self.begun:
            if process.poll() is None:
                process.kill()
                process.communicate()
        self.watched.close()
        assert not set().union(*(found.exposed for found in self.listening))

    def run(self, sources: list[str], *arguments: str, root: str) -> dict[str, Any]:
        """Converts to the end, which has to be a good one; adds the seconds and the log."""
        begun = time.monotonic()
        process = self.start(sources, *arguments, root=root)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        seconds = time.monotonic() - begun
        result: dict[str, Any] = json.loads(out.splitlines()[-1])
        return {**result, "seconds": seconds, "log": err}

    def fail(self, sources: list[str], *arguments: str, root: str) -> str:
        """Converts to a bad end; returns what was said of it."""
        process = self.start(sources, *arguments, root=root)
        _, err = process.communicate(timeout=600)
        assert process.returncode == 1, err
        return err


@pytest.fixture
def submitter(store: Store, tmp_path: Path) -> Iterator[Submitter]:
    submitter = Submitter(store.env, tmp_path)
    yield submitter
    submitter.end()


@dataclass
class Pool:
    """A pool of workers, in an environment that has the group `beam`, our wheel and no more."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def options(self) -> list[str]:
        return _options(environment_type="EXTERNAL", environment_config=f"localhost:{self.port}")

    def num_started(self) -> int:
        """Workers that were started so far."""
        return self.log.read_text().count("Starting worker with command")

    def kill_worker(self) -> None:
        """Kills the workers that the pool started, by their ids."""
        workers = _children(self.process.pid)
        assert workers
        for pid in workers:
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def pools(
    store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Mapping[str, str]], Pool]]:
    """Starts a pool with an environment."""
    installed("worker")
    open_pools: list[Any] = []

    def start(env: Mapping[str, str]) -> Pool:
        place, port = tmp_path_factory.mktemp("pool"), free_port()
        running = started(
            [python("worker"), "-m", "pipelines.engines.pool", "--port", str(port)],
            log=place / "log",
            cwd=place,
            env={"PATH": os.environ["PATH"], **env},
            port=port,
        )
        process = running.__enter__()
        open_pools.append(running)
        return Pool(port, place / "log", process)

    yield start
    for running in open_pools:
        running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def pool(pools: Callable[[Mapping[str, str]], Pool], store: Store) -> Pool:
    """Workers with credentials in their own environment, and nothing else of the submitter's."""
    secrets = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    return pools({name: store.env[name] for name in secrets})


@pytest.fixture(scope="session")
def cluster(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a Flink cluster whose task managers start workers of that environment."""
    for part in ("flink", "flink-job-server", "boot", "worker"):
        installed(part)
    env = {
        name: value for name, value in os.environ.items() if name in ("HOME", "JAVA_HOME", "LANG")
    }
    own = {
        "AWS_ACCESS_KEY_ID": USER,
        "AWS_SECRET_ACCESS_KEY": PASSWORD,
        "PATH": f"{python('worker').parent}:{os.environ['PATH']}",
        # Beam's boot program would make an environment of its own otherwise.
        "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT": "1",
    }
    with flink_cluster(tmp_path_factory.mktemp("flink"), {**env, **own}) as rest:
        yield rest


def on_cluster(rest: str) -> list[str]:
    """The arguments of a conversion on it."""
    boot = json.dumps({"command": str(program("boot"))})
    workers = {"environment_type": "PROCESS", "environment_config": boot, "parallelism": "2"}
    return ["--runner", "flink", *_options(flink_master=rest, **workers)]


def _options(**options: str) -> list[str]:
    return [part for key, value in options.items() for part in ("--beam-option", f"{key}={value}")]


def _children(pid: int) -> list[int]:
    found = subprocess.run(
        ["pgrep", "--parent", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


_TIMES: dict[tuple[str, str], tuple[float, str, str]] = {}


@pytest.fixture
def timed() -> Callable[[str, str, float, tuple[str, str]], None]:
    """Keeps a conversion for the table that ends the tests."""

    def keep(source: str, engine: str, seconds: float, digests: tuple[str, str]) -> None:
        _TIMES[source, engine] = (seconds, *digests)

    return keep


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The same data set on every engine, with times."""
    if not _TIMES:
        return
    terminalreporter.section("engines")
    terminalreporter.line(
        f"{'notes':<10}{'engine':<18}{'seconds':>8}  manifest_digest  samples_digest"
    )
    for (source, engine), (seconds, manifest, samples) in _TIMES.items():
        terminalreporter.line(
            f"{source:<10}{engine:<18}{seconds:>8.1f}  {manifest[:15]}  {samples[:14]}"
        )
