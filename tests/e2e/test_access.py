"""Who gets in: what listens where, and what the server asks for."""

import json
import socket
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.e2e.stack import Stack, free_ports

FOREIGN = "http://attacker.example"
FILTER = "flow_runs/filter"
OWN = "me:sesame-of-my-own"


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """Where a process can be reached: TCP that listens, and UDP that is bound."""
    sockets = process.net_connections("inet")
    return {
        (at.laddr.ip, at.laddr.port)
        for at in sockets
        if at.status == psutil.CONN_LISTEN or (at.type == socket.SOCK_DGRAM and not at.raddr)
    }


def test_nothing_listens_on_another_address_than_loopback(stack: Stack) -> None:
    found = {at for process in stack.left() for at in listening(process)}
    assert {(str(host), port) for host, port in found if not ip_address(host).is_loopback} == set()
    assert {port for _, port in found} >= {stack.port, stack.port + 1}


@pytest.mark.parametrize(
    "auth", [None, ("nsynth", ""), ("nsynth", "sesame"), ("", ""), ("admin", "pass")]
)
def test_request_without_the_password_is_refused(
    stack: Stack, auth: tuple[str, str] | None
) -> None:
    answer = httpx.post(f"{stack.api_url}/{FILTER}", json={}, auth=auth)
    assert answer.status_code == 401
    assert httpx.get(f"{stack.api_url}/admin/settings", auth=auth).status_code == 401


def test_run_that_a_page_creates_is_refused(stack: Stack) -> None:
    manual = stack.ask("GET", "deployments/name/build-dataset/manual")
    before = stack.ask("POST", "flow_runs/count", {})
    # As a form or a script of any page may send it without being asked first.
    answer = httpx.post(
        f"{stack.api_url}/deployments/{manual['id']}/create_flow_run",
        content=json.dumps({"job_variables": {"command": "touch /tmp/owned"}}),
        headers={"Origin": FOREIGN, "Content-Type": "text/plain"},
    )
    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers
    assert stack.ask("POST", "flow_runs/count", {}) == before


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_browser_that_asks_first_for_another_page_is_refused(stack: Stack, method: str) -> None:
    answer = preflight(stack, FOREIGN, method)
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_own_pages_may_ask_by_either_name(stack: Stack, host: str) -> None:
    origin = f"http://{host}:{stack.port}"
    assert preflight(stack, origin, "POST").headers["access-control-allow-origin"] == origin
    answer = httpx.post(
        f"{stack.api_url}/{FILTER}", json={}, auth=stack.auth, headers={"Origin": origin}
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin


def preflight(stack: Stack, origin: str, method: str) -> httpx.Response:
    """Asks as a browser does before a script's request to another origin."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return httpx.options(f"{stack.api_url}/{FILTER}", headers=headers)


@pytest.mark.parametrize("path", ["events/out", "logs/out", "events/in"])
@pytest.mark.parametrize("subprotocols", [None, ["prefect"]])
def test_stream_without_the_password_is_closed(stack: Stack, path: str, subprotocols: Any) -> None:
    url = f"{stack.api_url.replace('http', 'ws', 1)}/{path}"
    with pytest.raises((ConnectionClosed, InvalidStatus)):
        listen(url, subprotocols)


def listen(url: str, subprotocols: Any) -> None:
    with connect(url, origin=FOREIGN, subprotocols=subprotocols, proxy=None) as stream:  # type: ignore[arg-type] # a str by another name
        stream.send(json.dumps({"type": "auth", "token": "sesame"}))
        while True:
            message = json.loads(stream.recv(timeout=60))
            assert message["type"] != "auth_success"


def test_health_is_seen_without_the_password(stack: Stack) -> None:
    # A container engine's check has none.
    assert httpx.get(f"{stack.api_url}/health").json() is True


def test_pages_ask_for_the_password(stack: Stack) -> None:
    url = stack.api_url.removesuffix("/api")
    assert httpx.get(f"{url}/ui-settings").json()["auth"] == "BASIC"


def test_password_is_nowhere_but_in_its_file(stack: Stack) -> None:
    _, password = stack.auth
    said = stack.orchestrate("up") + stack.orchestrate("status")
    assert password not in said
    assert f'PREFECT_API_AUTH_STRING="$(cat {stack.state / "password"})"' in said
    assert stack.files_with_password() == [stack.state / "password"]
    for process in stack.left():
        assert password not in " ".join(process.cmdline())


def test_reports_are_served_without_knowing_the_password(stack: Stack) -> None:
    names = {"PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"}
    assert not names & stack.service("reports").environ().keys()


def test_other_password_needs_another_start(stack: Stack) -> None:
    done = replace(stack, env={**stack.env, "PREFECT_SERVER_API_AUTH_STRING": OWN}).run_verb("up")
    assert done.returncode == 1
    assert "was started with another password, or with none; end it first" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert OWN not in done.stderr


@pytest.mark.parametrize("name", ["PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"])
def test_own_password_is_the_servers(stack: Stack, tmp_path: Path, name: str) -> None:
    port = free_ports()
    own = replace(
        stack,
        state=tmp_path / "state",
        port=port,
        env={
            "NSYNTH_STATE": str(tmp_path / "state"),
            "NSYNTH_PORT": str(port),
            "NSYNTH_ROOT": str(tmp_path / "root"),
            # What a user may have set for a server of another kind.
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "*",
            "http_proxy": "http://127.0.0.1:1",
            "no_proxy": "example.org",
            name: OWN,
        },
        own_auth=OWN,
    )
    try:
        said = own.orchestrate("up")
        assert OWN not in said
        assert not (own.state / "password").exists()
        assert own.ask("GET", "deployments/name/retrain/manual")["name"] == "manual"
        assert httpx.get(f"{own.api_url}/admin/settings", auth=stack.auth).status_code == 401
        assert "access-control-allow-origin" not in preflight(own, FOREIGN, "POST").headers
        # The shell of another day knows nothing of it.
        assert "gpu: 0 of 1" in replace(own, env={**own.env, name: ""}).orchestrate("status")
    finally:
        own.orchestrate("down")
    assert own.left() == []
