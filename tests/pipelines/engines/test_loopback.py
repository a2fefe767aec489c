import os

import pytest

from pipelines.engines.loopback import bypass_proxies

HERE = "localhost,127.0.0.1,::1"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of the variables, which is put back after the test."""
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
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
