"""The profiles of the compose file, as far as they can be checked without Docker."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from infra.engines.settings import CHECKOUT, load_engine
from pipelines.engines.checks import addresses

COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "infra" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
TASK_MANAGERS = [name for name in SERVICES if name.startswith("flink-task-manager")]
POOLS = [name for name in SERVICES if name.startswith("beam-workers")]


def enabled(*profiles: str) -> dict[str, dict[str, Any]]:
    """The services that start with these profiles: those of no profile always do."""
    return {
        name: service
        for name, service in SERVICES.items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }


def needed(service: dict[str, Any]) -> Iterator[str]:
    yield from service.get("depends_on", {})
    if network := service.get("network_mode"):
        yield network.removeprefix("service:")
    for context in service.get("build", {}).get("additional_contexts", {}).values():
        yield context.removeprefix("service:")


def properties(name: str) -> dict[str, str]:
    lines = SERVICES[name]["environment"]["FLINK_PROPERTIES"].splitlines()
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize("profiles", [("cpu",), ("gpu",), ("flink",), ("cpu", "flink")])
def test_profile_starts_all_that_its_services_need(profiles: tuple[str, ...]) -> None:
    services = enabled(*profiles)
    assert services.keys() >= {"worker", "storage"}
    for name, service in services.items():
        assert set(needed(service)) <= services.keys(), name


@pytest.mark.parametrize("name", SERVICES)
def test_service_mounts_volumes_that_are_declared(name: str) -> None:
    volumes = {volume.split(":")[0] for volume in SERVICES[name].get("volumes", [])}
    assert volumes <= COMPOSE["volumes"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_service_that_is_waited_for_can_tell_that_it_is_well(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other], other


def test_each_task_manager_has_a_pool_of_its_own_at_localhost() -> None:
    networks = [SERVICES[name]["network_mode"] for name in TASK_MANAGERS]
    assert sorted(networks) == [f"service:{pool}" for pool in POOLS]
    assert not [pool for pool in POOLS if "network_mode" in SERVICES[pool]]


def test_storage_credentials_are_the_pools_alone() -> None:
    secret = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    for name in enabled("flink").keys() - enabled():
        has = SERVICES[name].get("environment", {}).keys() & secret
        assert has == (secret if name in POOLS else set()), name


def test_server_asks_for_the_password_that_its_clients_give() -> None:
    server = SERVICES["server"]["environment"]
    auth = server["PREFECT_SERVER_API_AUTH_STRING"]
    assert auth == "nsynth:${PREFECT_PASSWORD:?set it in infra/.env}"
    port = SERVICES["server"]["ports"][0].rpartition(":")[0]
    assert f"http://{port}" in server["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"].split(",")
    # The only request that is answered without it.
    assert "/api/health" in SERVICES["server"]["healthcheck"]["test"][-1]
    given = {n: s["environment"].get("PREFECT_API_AUTH_STRING") for n, s in of_the_server()}
    assert set(given) == {"setup", "worker", "trainer", "trainer-gpu"}
    assert set(given.values()) == {auth}


def of_the_server() -> list[tuple[str, dict[str, Any]]]:
    """The services that talk to it."""
    return [
        (name, service)
        for name, service in SERVICES.items()
        if "PREFECT_API_URL" in service.get("environment", {})
    ]


def test_reports_are_served_of_the_root_of_the_runs_alone() -> None:
    given = SERVICES["reports"]["command"]
    assert given[-1] == SERVICES["setup"]["environment"]["NSYNTH_ROOT"]
    assert not [name for name in SERVICES["reports"]["environment"] if "PREFECT" in name]


def test_flink_begins_again_as_one_of_a_jobs_own_does() -> None:
    conf = yaml.safe_load((CHECKOUT / "infra/engines/flink-conf/config.yaml").read_text())
    delay = conf["restart-strategy"]["fixed-delay"]
    wanted = {
        "restart-strategy.type": conf["restart-strategy"]["type"],
        **{f"restart-strategy.fixed-delay.{key}": str(value) for key, value in delay.items()},
    }
    for name in ("flink-job-manager", *TASK_MANAGERS):
        assert wanted.items() <= properties(name).items()
        assert properties(name)["jobmanager.rpc.address"] in SERVICES


def test_engine_settings_name_services_of_the_profile() -> None:
    engine = load_engine("flink", file=str(CHECKOUT / "infra/engines/compose-flink.toml"))
    servers = dict(addresses(engine))
    # The pool at localhost is each task manager's, so the submitter does not look for it.
    assert servers == {"job_endpoint": ("beam-job-server", 8099)}
    assert engine.text("flink_master") == "flink-job-manager:8081"
    assert "--flink-master=flink-job-manager:8081" in SERVICES["beam-job-server"]["command"]
    assert "--job-host=beam-job-server" in SERVICES["beam-job-server"]["command"]
    assert engine.is_on_flink_cluster
    assert engine.has_remote_workers


def test_engine_settings_use_every_slot() -> None:
    settings = tomllib.loads((CHECKOUT / "infra/engines/compose-flink.toml").read_text())
    slots = [int(properties(name)["taskmanager.numberOfTaskSlots"]) for name in TASK_MANAGERS]
    assert settings["options"]["parallelism"] == sum(slots)


def test_files_that_the_job_server_takes_are_where_task_managers_look() -> None:
    (place,) = [a for a in SERVICES["beam-job-server"]["command"] if "artifacts" in a]
    for name in ("beam-job-server", *TASK_MANAGERS):
        assert f"artifacts:{place.partition('=')[2]}" in SERVICES[name]["volumes"][0]


def test_server_of_jobs_is_not_told_of_this_checkout() -> None:
    engine = load_engine("flink", options=["job_endpoint=elsewhere:8099"])
    assert not engine.options.keys() & {"flink_conf_dir", "flink_job_server_jar"}
