"""What the engines are made of, each pinned, and how each is installed into a folder of its own."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.engines.installed import CHECKOUT, folder, job_server_jar, python
from infra.engines.jar import manifest_jar

_HERE: Final = Path(__file__).parent

_BEAM: Final = "v2.77.0"
_JOB_SERVER: Final = "org.apache.beam.runners.flink.FlinkJobServerDriver"


@dataclass(frozen=True)
class Part:
    """One thing to install.

    Attributes:
      needs: programs that have to be there already.
      pins: what it is made of; another value installs it again.
      install: makes it, in a folder where it may lie half made.
    """

    name: str
    what: str
    needs: tuple[str, ...]
    pins: str
    install: Callable[[], None]


def run(command: Sequence[str | Path], **environment: str) -> None:
    """Runs a command of an installation; its output is shown where it fails."""
    done = subprocess.run(  # noqa: S603 - the commands of this module
        [str(part) for part in command],
        cwd=CHECKOUT,
        env={**_inherited(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}:\n{done.stderr.strip() or done.stdout}")


def parts() -> list[Part]:
    """All of them, in the order in which they are installed."""
    return [
        _go("prism", f"github.com/apache/beam/sdks/v2/go/cmd/prism@{_BEAM}", "Beam's own engine"),
        _go(
            "boot",
            f"github.com/apache/beam/sdks/v2/python/container@{_BEAM}",
            "what starts a Python worker in a process or a container",
            built="container",
        ),
        _go(
            "versitygw",
            "github.com/versity/versitygw/cmd/versitygw@v1.8.0",
            "an S3 server that honours create-if-absent",
        ),
        _go(
            "fake-gcs-server",
            "github.com/fsouza/fake-gcs-server@v1.56.1",
            "a stand-in for Google's storage, which checks no credentials",
        ),
        Part(
            "flink-job-server",
            "Beam's job server for Flink, with a Flink in it",
            ("java", "mvn"),
            (_HERE / "flink-job-server.xml").read_text(encoding="utf-8"),
            _install_job_server,
        ),
        Part(
            "flink",
            "Flink, for a cluster of several processes",
            ("java",),
            (_HERE / "flink-requirements.txt").read_text(encoding="utf-8"),
            _install_flink,
        ),
        _environment("worker", "requirements-beam.txt", "what a worker has, and no more"),
        _environment("dataflow", "requirements-dataflow.txt", "what submits to Dataflow"),
    ]


def install_wheel(name: str) -> None:
    """Builds this project's wheel and installs it into an environment, nothing else with it."""
    with tempfile.TemporaryDirectory() as built:
        pip = ("-m", "pip", "--quiet", "--disable-pip-version-check")
        run([sys.executable, *pip, "wheel", "--no-deps", "--no-build-isolation", "-w", built, "."])
        (wheel,) = Path(built).glob("*.whl")
        run([python(name), *pip, "install", "--no-deps", "--force-reinstall", wheel])
        dist = folder() / "dist"
        dist.mkdir(exist_ok=True)
        shutil.copy(wheel, dist)


def _go(name: str, package: str, what: str, *, built: str = "") -> Part:
    def install() -> None:
        programs = folder() / "bin"
        run(["go", "install", package], GOBIN=str(programs), GOFLAGS="-buildvcs=false")
        if built:
            (programs / built).replace(programs / name)

    return Part(name, what, ("go",), package, install)


def _environment(name: str, requirements: str, what: str) -> Part:
    def install() -> None:
        run([sys.executable, "-m", "venv", "--clear", folder() / name])
        pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps")
        run([python(name), *pip, "--require-hashes", "-r", requirements])

    return Part(name, what, (), (CHECKOUT / requirements).read_text(encoding="utf-8"), install)


def _install_job_server() -> None:
    jars = job_server_jar().parent
    shutil.rmtree(jars, ignore_errors=True)
    goal = ("dependency:copy-dependencies", f"-DoutputDirectory={jars}")
    run(["mvn", "--quiet", "--batch-mode", "-f", _HERE / "flink-job-server.xml", *goal])
    manifest_jar(job_server_jar(), main_class=_JOB_SERVER)


def _install_flink() -> None:
    jars = folder() / "flink"
    shutil.rmtree(jars, ignore_errors=True)
    jars.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as fetched:
        pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "download")
        how = ("--no-deps", "--no-build-isolation", "--require-hashes", "-d", fetched)
        run([sys.executable, *pip, *how, "-r", _HERE / "flink-requirements.txt"])
        (archive,) = Path(fetched).glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            for member in packed:
                if "/deps/lib/" in member.name and member.name.endswith(".jar"):
                    member.name = Path(member.name).name
                    packed.extract(member, jars, filter="data")


def _inherited() -> dict[str, str]:
    # The checkout's own packages must not be found in place of the wheel's.
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
