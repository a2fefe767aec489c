"""Locations of each kind, and a bucket behind a network that fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.storage.faults import Proxy, faulty_proxy


@pytest.fixture(params=["local", "memory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty location of each kind."""
    if request.param == "s3":
        return str(request.getfixturevalue("bucket"))
    return f"memory://{tmp_path.name}" if request.param == "memory" else str(tmp_path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage that waits half a second for a stalled server, and hardly between attempts."""
    monkeypatch.setenv("NSYNTH_STORAGE_ATTEMPTS", "9")
    monkeypatch.setenv("NSYNTH_STORAGE_WAIT_SEC", "0.002")
    monkeypatch.setenv("NSYNTH_STORAGE_TIMEOUT_SEC", "0.5")


@pytest.fixture
def proxy(
    bucket: str,
    changing_s3: None,
    s3_endpoint: str,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Proxy]:
    """What stands between storage and the server; forwards all until it gets another plan."""
    with faulty_proxy(s3_endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy
