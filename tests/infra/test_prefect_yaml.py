"""What the file of deployments promises, without a server."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

CHECKOUT = Path(__file__).parents[2]
FILE = CHECKOUT / "infra" / "prefect.yaml"
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["deployments"]


def name_of(deployment: dict[str, Any]) -> str:
    return f"{load_flow_from_entrypoint(deployment['entrypoint']).name}/{deployment['name']}"


def test_deployments_are_those_of_the_readme() -> None:
    assert {name_of(d) for d in DEPLOYMENTS} == {
        "retrain/nightly",
        "retrain/manual",
        "explore/manual",
        "build-dataset/manual",
    }


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_deployment_gives_parameters_that_its_flow_has(deployment: dict[str, Any]) -> None:
    schema = parameter_schema(load_flow_from_entrypoint(deployment["entrypoint"]))
    assert deployment["parameters"].keys() <= schema.properties.keys()
    assert deployment["description"]


def test_only_what_trains_waits_for_the_gpu() -> None:
    queues = {name_of(d): d["work_pool"]["work_queue_name"] for d in DEPLOYMENTS}
    assert {name for name, queue in queues.items() if queue == "gpu"} == {
        "retrain/nightly",
        "retrain/manual",
        "explore/manual",
    }


def test_file_holds_no_place_of_a_machine() -> None:
    text = FILE.read_text()
    assert str(CHECKOUT) not in text
    assert not [line for line in text.splitlines() if ": /" in line]
