"""The steps of the Beam workers' image, run in clean folders and an empty environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.engines.settings import CHECKOUT
from tests.infra.dockerfile import Step, stages

DOCKERFILE = CHECKOUT / "infra/images/beam-worker.Dockerfile"
# What the image has of its own: programs of the system, and users.
_NOT_HERE = ("COPY --from=boot ", "RUN useradd ")


def built(stage: str, place: Path) -> Path:
    """Runs a stage's COPY and RUN steps in a folder and an environment of its own."""
    app, env = place / stage, place / f"{stage}-env"
    app.mkdir()
    subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
    for word, rest in stages(DOCKERFILE)[stage]:
        if word in ("COPY", "RUN") and not f"{word} {rest}".startswith(_NOT_HERE):
            _step((word, rest), app, env)
    return env


def _step(step: Step, app: Path, env: Path) -> None:
    word, rest = step
    if word == "RUN":
        path = f"{env / 'bin'}:{os.environ['PATH']}"
        own = {"PATH": path, "HOME": str(app), "PIP_CACHE_DIR": str(app.parent / "cache")}
        subprocess.run(rest, shell=True, cwd=app, env=own, check=True)  # noqa: S602 - ours
        return
    *sources, target = rest.split()
    if sources[0].startswith("--from="):
        stage = sources.pop(0).removeprefix("--from=")
        sources = [str(app.parent / stage / Path(sources[0]).relative_to("/app"))]
    for source in sources:
        found = CHECKOUT / source
        if found.is_dir():
            shutil.copytree(found, app / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(found, app / target)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a worker that was made as its image is."""
    place = tmp_path_factory.mktemp("image")
    built("wheel", place)
    return built("worker", place) / "bin" / "python"


def run(python: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(python), *arguments],
        cwd=python.parent,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_image_imports_what_a_worker_runs_from_its_own_packages(python: Path) -> None:
    modules = ("apache_beam.runners.worker.sdk_worker_main", "pipelines.convert.beam as ours")
    found = run(python, "-c", f"import {', '.join(modules)}; print(ours.__file__)")
    assert Path(found).is_relative_to(python.parents[1])


def test_image_lacks_nothing_that_its_packages_need(python: Path) -> None:
    run(python, "-m", "pip", "check")


def test_image_has_nothing_that_only_training_needs(python: Path) -> None:
    names = ("tensorflow", "keras", "prefect", "sklearn", "matplotlib", "hatchling", "pytest")
    code = f"from importlib.util import find_spec; print([n for n in {names} if find_spec(n)])"
    assert run(python, "-c", code) == "[]"
