"""What leaves a checkout: to git, in wheel and sdist, to an image; and which Python it needs."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths

from infra.engines.settings import CHECKOUT

SECRET = b"sesame-of-infra"

FOLDERS = ("flows", "tasks", "pipelines", "infra")

PLANTED = (
    "infra/.env",
    "infra/.env.local",
    "infra/engines/.env",
    "infra/compose.override.yaml",
    "infra/engines/mine.toml",
    "infra/engines/flink-conf/masters",
    "infra/service-account.json",
    "infra/images/.netrc",
    "infra/id_rsa",
    "infra/aws-credentials",
    "infra/tls/server.key",
    "flows/notebook.ipynb",
    "flows/prefect.toml",
    "tasks/.prefectignore",
    "pipelines/notes.csv",
    "pipelines/convert/nsynth-valid.tfrecord",
    "pipelines/report/report.html",
    "pipelines/core.1234",
    ".env",
    "nsynth-valid.tfrecord",
    "data/runs/report.html",
    "secrets/password",
)
"""What a user may have in a checkout. The folder of a name without a dot is allowed only outside of
those of the code."""

NOT_IN_CONTEXT = tuple(name for name in PLANTED if name != "infra/engines/flink-conf/masters")


def copy_checkout(folder: Path) -> Path:
    """The files of the checkout, as far as they are built from or decide on that."""
    ignored = shutil.ignore_patterns("__pycache__", ".env", ".env.local")
    for name in FOLDERS:
        shutil.copytree(CHECKOUT / name, folder / name, ignore=ignored)
    for path in (*CHECKOUT.glob("requirements-*.txt"), *CHECKOUT.glob(".*ignore")):
        shutil.copy(path, folder)
    for name in ("pyproject.toml", "README.md", "LICENSE", "Makefile"):
        shutil.copy(CHECKOUT / name, folder)
    return folder


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which a user keeps secrets, without what git knows of it."""
    folder = copy_checkout(tmp_path_factory.mktemp("checkout") / "nsynth-flows")
    for name in PLANTED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(SECRET)
    return folder


@pytest.fixture(scope="module")
def built(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a wheel and an sdist of it."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(out)],
        cwd=planted,
        check=True,
        capture_output=True,
    )
    return out


def wheel(built: Path) -> dict[str, bytes]:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sdist(built: Path) -> dict[str, bytes]:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        found = {m.name.partition("/")[2]: archive.extractfile(m) for m in archive if m.isfile()}
        return {name: file.read() for name, file in found.items() if file is not None}


def context(folder: Path) -> set[str]:
    """The files that a container engine gets of a folder, by Docker's own rules."""
    patterns = [
        line
        for line in (folder / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    found: set[str] = exclude_paths(str(folder), patterns, dockerfile=".dockerignore")
    return {name for name in found if (folder / name).is_file()}


def needed() -> set[str]:
    """The files that git knows below the folders of the code; all of them where there is no git."""
    done = subprocess.run(
        ["git", "ls-files", *FOLDERS], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("this checkout is not git's")
    return {name for name in done.stdout.splitlines() if (CHECKOUT / name).exists()}


@pytest.mark.parametrize("read", [wheel, sdist])
def test_package_holds_no_secret_and_all_of_the_project(
    read: Callable[[Path], dict[str, bytes]], built: Path
) -> None:
    found = read(built)
    assert [name for name, content in found.items() if SECRET in content] == []
    assert needed() - found.keys() == set()
    assert found["infra/.env.example"]


def test_image_gets_no_secret_and_all_that_it_runs(planted: Path) -> None:
    found = context(planted)
    assert found & set(NOT_IN_CONTEXT) == set()
    wanted = {name for name in needed() if not name.startswith("infra/images/")}
    assert wanted - found == {"infra/.env.example", "infra/compose.yaml"}
    assert found >= {"pyproject.toml", "README.md", "LICENSE", "requirements-dev.txt"}


def test_git_takes_no_secret_and_the_example(planted: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(planted), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")
    git("add", "--all")
    tracked = set(git("ls-files").splitlines())
    shutil.rmtree(planted / ".git")
    assert {name for name in tracked if Path(name).name.startswith(".env")} == {
        "infra/.env.example"
    }


def test_example_names_what_compose_needs_and_gives_no_password() -> None:
    example = (CHECKOUT / "infra" / ".env.example").read_text()
    text = (CHECKOUT / "infra" / "compose.yaml").read_text()
    names = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    assert names.keys() == set(re.findall(r"\$\{(\w+):\?", text))
    assert [name for name, value in names.items() if "PASSWORD" in name and value] == []
    optional = set(re.findall(r"^# (\w+)=", example, re.MULTILINE))
    assert optional == set(re.findall(r"\$\{(\w+):-", text))


RANGE = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["requires-python"]


@pytest.mark.parametrize("target", ["setup", "test-jax"])
@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14), (4, 0)])
def test_set_up_says_which_python_it_needs(
    target: str, version: tuple[int, int], tmp_path: Path
) -> None:
    python = fake_python(tmp_path, version)
    done = make(tmp_path, target, python=str(python))
    assert done.returncode == 2
    wanted = f"Python 3.11, 3.12 or 3.13 is needed and {python} is {version[0]}.{version[1]}; name"
    assert wanted in done.stderr
    assert not list(tmp_path.glob(".venv*"))
    assert RANGE == ">=3.11,<3.14"


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_set_up_goes_on_with_a_python_that_fits(version: tuple[int, int], tmp_path: Path) -> None:
    done = make(tmp_path, "setup", python=str(fake_python(tmp_path, version)))
    assert "is needed" not in done.stderr
    assert "made an environment" in done.stdout


def test_set_up_says_that_there_is_no_python(tmp_path: Path) -> None:
    done = make(tmp_path, "setup", python="python9")
    assert done.returncode == 2
    assert "there is no python9; name a Python 3.11, 3.12 or 3.13: make PYTHON=" in done.stderr


def make(folder: Path, target: str, *, python: str) -> subprocess.CompletedProcess[str]:
    for name in ("Makefile", "pyproject.toml", "requirements-dev.txt", "requirements-jax.txt"):
        shutil.copy(CHECKOUT / name, folder)
    return subprocess.run(
        ["make", target, f"PYTHON={python}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(folder: Path, version: tuple[int, int]) -> Path:
    """A Python that takes itself for one of another version, and makes no environment."""
    path = folder / "fake-python"
    version_info = (*version, 0, "final", 0)
    path.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = -m ]; then echo made an environment; exit; fi\n'
        f'exec {sys.executable} -c "import sys; sys.version_info = {version_info}; '
        'exec(sys.argv[1])" "$2"\n'
    )
    path.chmod(0o755)
    return path
