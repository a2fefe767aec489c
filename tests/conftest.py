"""Real notes, a real S3 server, and the order of the tests: shared by all parts."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import s3fs
from hypothesis import settings
from moto.server import ThreadedMotoServer

# A busy machine is slow, not wrong. Examples differ between runs: few in each are many in all.
settings.register_profile("nsynth", deadline=None, max_examples=40)
settings.load_profile("nsynth")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Each process of the tests has one core; threads of several would wait for each other.
    for _name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

# Files whose tests share what takes long to make: one process runs all of a folder or list.
SHARED: Final = {
    "tests/flows/test_cli.py": "retrained",
    "tests/flows/test_policy.py": "retrained",
    "tests/flows/test_promotion.py": "retrained",
    "tests/flows/test_scores.py": "retrained",
    "tests/pipelines/damage/": "damage",
    "tests/pipelines/analysis/": "analysis",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute whole files, and the files above together."""
    # The environment for JAX has no pytest-xdist, which has no types.
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # noqa: PLC0415

    class ByFile(LoadScopeScheduling):  # type: ignore[misc] # as above
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((name for start, name in SHARED.items() if file.startswith(start)), file)

    return ByFile(config, log)


@pytest.fixture(scope="session")
def real() -> Path:
    """Return the folder of NSynth's own notes, nsynth-{train,valid,test}.tfrecord."""
    folder = os.environ.get("NSYNTH_REAL")
    if not folder:
        pytest.skip("NSYNTH_REAL does not name a folder with NSynth's own TFRecord files")
    return Path(folder)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Yield the address of an S3 server for this test session."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def direct(s3_endpoint: str) -> s3fs.S3FileSystem:
    """Return that server's file system, whatever the environment of a test says."""
    return s3fs.S3FileSystem(
        endpoint_url=s3_endpoint,
        key="nsynth",
        secret="nsynth-secret",  # noqa: S106 - of the server above, which asks nobody for one
        client_kwargs={"region_name": "us-east-1"},
        use_listings_cache=False,
        # Tests clear the cache.
        skip_instance_cache=True,
    )


@pytest.fixture
def s3_environment(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment of a user of that server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nsynth")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nsynth-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def changing_s3(s3_environment: None) -> Iterator[None]:
    """Clear cached file systems around a test that changes that environment."""
    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(s3_environment: None, direct: s3fs.S3FileSystem, tmp_path: Path) -> str:
    """Return the URI of an empty bucket, one for each test."""
    name = "-".join(["nsynth", *tmp_path.parts[-2:]]).lower().replace("_", "-")[-60:].strip("-")
    direct.call_s3("create_bucket", Bucket=name)
    return f"s3://{name}"
