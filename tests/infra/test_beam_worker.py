"""The image of Beam workers: the contract, and one version of everything wherever it is named."""

import re
from xml.etree import ElementTree

import yaml

from infra.engines.components import parts
from infra.engines.settings import CHECKOUT
from tests.infra.dockerfile import stages

IMAGES = CHECKOUT / "infra" / "images"
STAGES = stages(IMAGES / "beam-worker.Dockerfile")
COMPOSE = yaml.safe_load((CHECKOUT / "infra" / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
LOCKS = ("requirements-beam.txt", "requirements-dataflow.txt", "requirements-dev.txt")


def locked(package: str, lock: str) -> str:
    (version,) = re.findall(rf"^{package}==(\S+)", (CHECKOUT / lock).read_text(), re.MULTILINE)
    return str(version)


def said(pattern: str, *, stage: str) -> str:
    (found,) = re.findall(pattern, "\n".join(" ".join(step) for step in STAGES[stage]))
    return str(found)


def test_image_has_the_beam_of_every_lock() -> None:
    package = said(r"RUN .*go install (\S+)", stage="boot")
    _, version = package.split("@v")
    assert {locked("apache-beam", lock) for lock in LOCKS} == {version}
    pins = {part.name: part.pins for part in parts()}
    assert pins["boot"] == package
    assert pins["prism"].endswith(f"@v{version}")


def test_image_has_the_python_of_the_worker_that_submits() -> None:
    # What one of them pickles, the other one unpickles.
    base = said(r"FROM (python:\S+)", stage="worker")
    assert f"FROM {base}\n" in (IMAGES / "worker.Dockerfile").read_text()
    assert 'requires-python = ">=3.11,' in (CHECKOUT / "pyproject.toml").read_text()


def test_image_keeps_the_contract() -> None:
    for stage in ("worker", "dataflow"):
        assert ("COPY", "--from=boot /go/bin/container /opt/apache/beam/boot") in STAGES[stage]
        assert ("ENTRYPOINT", '["/opt/apache/beam/boot"]') in STAGES[stage]
        assert ("ENV", "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1") in STAGES[stage]
        assert not [rest for word, rest in STAGES[stage] if word == "CMD"]


def test_image_is_roots_on_dataflow_alone() -> None:
    # Beam's boot program writes to the folder that it starts in.
    assert STAGES["worker"][-2:] == [("WORKDIR", "/home/nsynth"), ("USER", "nsynth")]
    assert "USER" not in dict(STAGES["dataflow"])


def test_image_installs_by_hash_and_its_own_wheel_last() -> None:
    for stage, lock in (("worker", LOCKS[0]), ("dataflow", LOCKS[1])):
        runs = [rest for word, rest in STAGES[stage] if word == "RUN" and "pip" in rest]
        assert runs == [
            f"pip install --no-deps --require-hashes -r {lock}",
            "pip install --no-deps dist/*.whl",
        ]


def test_compose_has_the_flink_that_is_tested() -> None:
    flink = (CHECKOUT / "infra/engines/flink-requirements.txt").read_text()
    (version,) = re.findall(r"apache-flink-libraries==(\S+)", flink)
    jobs = ElementTree.parse(CHECKOUT / "infra/engines/flink-job-server.xml")  # noqa: S314 - ours
    (artifact,) = jobs.iterfind(".//{*}dependency/{*}artifactId")
    (beam,) = jobs.iterfind(".//{*}dependency/{*}version")
    images = {name: service.get("image", "") for name, service in SERVICES.items()}
    for name in ("flink-job-manager", "flink-task-manager-1", "flink-task-manager-2"):
        assert images[name].startswith(f"flink:{version}-")
    assert artifact.text == f"beam-runners-flink-{version.rpartition('.')[0]}"
    server = str(artifact.text).removeprefix("beam-runners-").replace("flink-", "beam_flink")
    assert images["beam-job-server"] == f"apache/{server}_job_server:{beam.text}"
