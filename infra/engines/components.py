"""Components of the engines, each pinned and installed into a folder of its own."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.engines.settings import CHECKOUT, folder, job_server_jar, python

_HERE: Final = Path(__file__).parent

_BEAM: Final = "v2.77.0"
_PRISM_LISTENS: Final = (
    'net.Listen("tcp", fmt.Sprintf(":%d",',
    'net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d",',
)
_JAVA_LISTENS: Final = (
    "NettyServerBuilder.forPort(socket.getPort())",
    "NettyServerBuilder.forAddress(socket)",
)
_SERVER_FACTORY: Final = "org/apache/beam/sdk/fn/server/ServerFactory.java"
_JOB_SERVER: Final = "org.apache.beam.runners.flink.FlinkJobServerDriver"

# No line of a manifest is longer; one that goes on begins with a space.
#
# Source: the JAR file specification.
_LINE_BYTES = 72


@dataclass(frozen=True)
class Part:
    """One component to install.

    Attributes:
      needs: programs that must be installed already.
      pins: the versions and digests it is made of; another value installs it again.
      install: builds it in its folder, which may contain an unfinished installation.
    """

    name: str
    what: str
    needs: tuple[str, ...]
    pins: str
    install: Callable[[], None]


def run(command: Sequence[str | Path], *, cwd: Path = CHECKOUT, **environment: str) -> str:
    """Run a command of an installation and return its output, which is shown where it fails."""
    done = subprocess.run(  # noqa: S603 - the commands of this module
        [str(part) for part in command],
        cwd=cwd,
        env={**_inherited(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OSError(f"{' '.join(map(str, command))}:\n{done.stderr.strip() or done.stdout}")
    return done.stdout


def parts() -> list[Part]:
    """Return all components in the order of their installation."""
    return [
        Part(
            "prism",
            "Beam's own engine",
            ("go",),
            f"{_PRISM_LISTENS[1]} in github.com/apache/beam/sdks/v2@{_BEAM}",
            _install_prism,
        ),
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
            ("java", "javac", "mvn"),
            (_HERE / "flink-job-server.xml").read_text(encoding="utf-8") + _JAVA_LISTENS[1],
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
    """Build this project's wheel and install it into an environment without its dependencies."""
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


def _install_prism() -> None:
    """Build Prism, which has no option for it, so that it listens on loopback alone."""
    module = f"github.com/apache/beam/sdks/v2@{_BEAM}"
    with tempfile.TemporaryDirectory() as built:
        place = Path(built)
        downloaded = Path(json.loads(run(["go", "mod", "download", "-json", module]))["Dir"])
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(downloaded / name, place / name)
        shutil.copytree(downloaded / "go", place / "go", copy_function=shutil.copyfile)
        server = place / "go/pkg/beam/runners/prism/internal/jobservices/server.go"
        _replace_once(server, *_PRISM_LISTENS)
        program = folder() / "bin" / "prism"
        run(["go", "build", "-o", program, "./go/cmd/prism"], cwd=place)


def _replace_once(source: Path, old: str, new: str) -> None:
    """Replace the one occurrence of a text.

    Raises:
      OSError: there is another number of them: the source is of another version.
    """
    text = source.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise OSError(f"expected {old!r} once in {source.name}, found it {text.count(old)} times")
    source.write_text(text.replace(old, new), encoding="utf-8")


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
    _listen_where_told(jars)
    write_manifest_jar(job_server_jar(), main_class=_JOB_SERVER)


def _listen_where_told(jars: Path) -> None:
    """Have Beam's servers in Java listen at the address that they give out.

    They know it, and yet take all interfaces. The job server brings these classes to the task
    managers of a cluster too.
    """
    (core,) = jars.glob("beam-sdks-java-core-*.jar")
    version = core.stem.rpartition("-")[2]
    with tempfile.TemporaryDirectory() as built:
        place = Path(built)
        artifact = f"org.apache.beam:beam-sdks-java-core:{version}:jar:sources"
        copy = ("dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={place}")
        run(["mvn", "--quiet", "--batch-mode", *copy])
        (sources,) = place.glob("*-sources.jar")
        with zipfile.ZipFile(sources) as packed:
            source = place / packed.extract(_SERVER_FACTORY, place)
        _replace_once(source, *_JAVA_LISTENS)
        classes = place / "classes"
        run(["javac", "--release", "11", "-proc:none", "-cp", jars / "*", "-d", classes, source])
        _replace_members(core, classes)


def _replace_members(archive: Path, new: Path) -> None:
    """Replace members of a zip archive by the files of a folder."""
    files = {str(path.relative_to(new)): path for path in new.rglob("*") if path.is_file()}
    done = set(files)
    made = archive.with_suffix(".new")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as to:
        for member in old.infolist():
            # Beam's has members that are there twice.
            if member.filename not in done:
                to.writestr(member, old.read(member))
                done.add(member.filename)
        for name, path in files.items():
            to.write(path, name)
    made.replace(archive)


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


def write_manifest_jar(path: Path, *, main_class: str) -> None:
    """Write a jar that contains only the list of the other jars of its folder.

    With it `java -jar` finds them all.

    Args:
      main_class: what `java -jar` starts.
    """
    others = sorted(jar.name for jar in path.parent.glob("*.jar") if jar != path)
    lines = [
        "Manifest-Version: 1.0",
        f"Main-Class: {main_class}",
        *_folded(f"Class-Path: {' '.join(others)}"),
    ]
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "\r\n".join(lines) + "\r\n\r\n")


def _folded(line: str) -> list[str]:
    first, rest = line[: _LINE_BYTES - 2], line[_LINE_BYTES - 2 :]
    size = _LINE_BYTES - 3
    return [first, *(f" {rest[at : at + size]}" for at in range(0, len(rest), size))]
