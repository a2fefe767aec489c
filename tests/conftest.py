"""What tests of all parts share: real notes where they are at hand, and a real S3 server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs
from hypothesis import settings
from moto.server import ThreadedMotoServer

# A busy machine is slow, not wrong.
settings.register_profile("nsynth", deadline=None)
settings.load_profile("nsynth")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of NSynth's own notes, as nsynth-{train,valid,test}.tfrecord."""
    folder = os.environ.get("NSYNTH_REAL")
    if not folder:
        pytest.skip("NSYNTH_REAL does not name a folder with NSynth's own TFRecord files")
    return Path(folder)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 server of this test session."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def direct(s3_endpoint: str) -> s3fs.S3FileSystem:
    """That server, whatever the environment of a test says."""
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
    """The environment of a user of that server."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nsynth")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nsynth-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def changing_s3(s3_environment: None) -> Iterator[None]:
    """For a test that changes that environment: filesystems keep the one they were made in."""
    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(s3_environment: None, direct: s3fs.S3FileSystem, tmp_path: Path) -> str:
    """The URI of an empty bucket, one for each test."""
    name = "-".join(["nsynth", *tmp_path.parts[-2:]]).lower().replace("_", "-")[-60:].strip("-")
    direct.call_s3("create_bucket", Bucket=name)
    return f"s3://{name}"
