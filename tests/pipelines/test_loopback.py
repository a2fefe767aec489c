import os

import pytest

from pipelines.loopback import bypass_proxies

HERE = "localhost,127.0.0.1,::1"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with a proxy and without exceptions, which is put back after the test."""
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    return monkeypatch


@pytest.mark.parametrize(
    ("given", "no_proxy", "no_grpc_proxy"),
    [
        ({}, HERE, HERE),
        ({"no_proxy": "a.example, localhost"}, *["a.example,localhost,127.0.0.1,::1"] * 2),
        ({"NO_PROXY": "a.example"}, *[f"a.example,{HERE}"] * 2),
        ({"no_proxy": "*"}, "*", f"*,{HERE}"),
        ({"no_grpc_proxy": "b.example"}, HERE, f"b.example,{HERE}"),
    ],
)
def test_bypass_proxies_adds_loopback_to_what_is_given(
    environment: pytest.MonkeyPatch, given: dict[str, str], no_proxy: str, no_grpc_proxy: str
) -> None:
    for name, value in given.items():
        environment.setenv(name, value)
    bypass_proxies()
    bypass_proxies()
    expected = {"no_proxy": no_proxy, "no_grpc_proxy": no_grpc_proxy}
    assert {name: os.environ[name] for name in expected} == expected


def test_bypass_proxies_changes_nothing_without_a_proxy(environment: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        environment.delenv(name)
    bypass_proxies()
    assert "no_proxy" not in os.environ
