"""Images and compose file, as far as they can be checked without Docker."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).parents[2]
IMAGES = sorted((CHECKOUT / "infra" / "images").glob("*.Dockerfile"))
COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "infra" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRETS = {"PREFECT_PASSWORD": "p", "POSTGRES_PASSWORD": "p", "S3_USER": "u", "S3_PASSWORD": "s"}


def copied(dockerfile: Path) -> list[str]:
    """What a Dockerfile copies from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile.read_text(), re.MULTILINE)
    return [source for line in lines for source in line.split()]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the worker's image copies, and nothing else."""
    folder = tmp_path_factory.mktemp("app")
    for name in copied(CHECKOUT / "infra/images/worker.Dockerfile"):
        source, target = CHECKOUT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


@pytest.mark.parametrize("dockerfile", IMAGES, ids=lambda path: path.stem)
def test_image_copies_what_is_there_and_not_ignored(dockerfile: Path) -> None:
    kept = (CHECKOUT / ".dockerignore").read_text().splitlines()
    for source in copied(dockerfile):
        assert (CHECKOUT / source).exists(), source
        assert f"!{source}" in kept, source


def test_image_installs_from_what_it_copies(clean: Path, tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--quiet")
    subprocess.run([*pip, "--target", str(tmp_path), "."], cwd=clean, check=True)
    installed = {path.name for path in tmp_path.iterdir()}
    assert installed >= {"flows", "tasks", "pipelines", "infra"}
    assert (tmp_path / "pipelines/report/templates/report.html.j2").exists()
    assert (tmp_path / "infra/prefect.yaml").exists()


def test_image_can_set_up_and_load_each_flow(clean: Path) -> None:
    code = (
        "import yaml; from pathlib import Path; import infra.orchestration.local_stack;"
        "from prefect.flows import load_flow_from_entrypoint as load;"
        "file = yaml.safe_load(Path('infra/prefect.yaml').read_text());"
        "print(*(load(d['entrypoint']).name for d in file['deployments']));"
        "import flows; print(flows.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=clean,
        env=os.environ | {"PYTHONPATH": str(clean)},
        capture_output=True,
        text=True,
        check=True,
    )
    names, place = done.stdout.splitlines()
    assert names == "retrain retrain explore build-dataset"
    assert place == str(clean / "flows" / "__init__.py")


def test_services_are_those_of_production() -> None:
    assert SERVICES.keys() >= {"database", "storage", "server", "worker", "trainer-gpu"}


@pytest.mark.parametrize("name", SERVICES)
def test_service_listens_on_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert str(port).startswith("127.0.0.1:")


def test_only_services_that_check_who_asks_are_published() -> None:
    published = {name for name, service in SERVICES.items() if "ports" in service}
    # By a signature, by a password, and by the name that a browser asks for.
    assert published == {"storage", "server", "reports"}


@pytest.mark.parametrize("name", SERVICES)
def test_service_waits_for_services_that_are_there(name: str) -> None:
    assert SERVICES[name].get("depends_on", {}).keys() <= SERVICES.keys()


@pytest.mark.parametrize("name", [n for n, service in SERVICES.items() if "build" in service])
def test_service_is_built_from_files_that_are_there(name: str) -> None:
    build = SERVICES[name]["build"]
    dockerfile = (CHECKOUT / "infra" / build["context"] / build["dockerfile"]).resolve()
    assert dockerfile in IMAGES
    if "target" in build:
        assert f" AS {build['target']}\n" in dockerfile.read_text()


def test_compose_file_holds_no_secret() -> None:
    text = (CHECKOUT / "infra" / "compose.yaml").read_text()
    for name in SECRETS:
        assert re.findall(rf"\${{{name}(.)", text) == [":"] * text.count(f"${{{name}")
        assert f"${{{name}:-" not in text


def run(*command: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | SECRETS
    return subprocess.run(
        command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False
    )


def test_compose_file_is_one_that_docker_reads() -> None:
    if not shutil.which("docker") or run("docker", "compose", "version").returncode:
        pytest.skip("there is no docker compose")
    done = run("docker", "compose", "-f", "infra/compose.yaml", "--profile", "*", "config")
    assert done.returncode == 0, done.stderr
