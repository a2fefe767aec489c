"""A MinIO of one's own: an S3 server on this machine's loopback, ended by its id."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import s3fs

from infra.engines.installed import program
from tests.engines.processes import free_port, started, wait_until

USER, PASSWORD = "nsynth", "nsynth-secret"  # of a server that lives as long as its user
BUCKET = "nsynth"


@contextmanager
def minio(place: Path, *, certificates: Path | None = None) -> Iterator[Mapping[str, str]]:
    """The server, with one empty bucket; yields the environment of its users.

    Args:
      place: for its data and its log.
      certificates: holds public.crt and private.key; without them it speaks plain HTTP.
    """
    port = free_port()
    command: list[str | Path] = [program("minio"), "server", "--address", f"127.0.0.1:{port}"]
    env = {
        "AWS_ENDPOINT_URL": f"http{'s' if certificates else ''}://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": USER,
        "AWS_SECRET_ACCESS_KEY": PASSWORD,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    if certificates:
        command += ["--certs-dir", certificates]
        env["AWS_CA_BUNDLE"] = str(certificates / "public.crt")
    server = {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD, "MINIO_BROWSER": "off"}
    place.mkdir(parents=True, exist_ok=True)
    log = place / "log"
    with started(
        [*command, place / "data"], log=log, cwd=place, env={**os.environ, **server}, port=port
    ):
        fs = client(env)
        wait_until(lambda: _makes_bucket(fs), seconds=30, every_sec=0.5)
        yield env


def client(env: Mapping[str, str]) -> s3fs.S3FileSystem:
    """A client of it, whatever the environment of this process says."""
    return s3fs.S3FileSystem(
        endpoint_url=env["AWS_ENDPOINT_URL"],
        key=USER,
        secret=PASSWORD,
        client_kwargs={"region_name": "us-east-1", "verify": env.get("AWS_CA_BUNDLE")},
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def _makes_bucket(fs: s3fs.S3FileSystem) -> bool:
    try:
        fs.mkdir(BUCKET)
    except OSError:
        return False  # it answers before it is ready
    return True
