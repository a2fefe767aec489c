"""An S3 server on the loopback interface, ended by its id: Versity's gateway to a folder."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import s3fs

from infra.engines.settings import program
from tests.engines.processes import free_port, started

USER, PASSWORD = "nsynth", "nsynth-secret"  # of a server that lives as long as its user
BUCKET = "nsynth"


@contextmanager
def s3_server(place: Path, *, certificates: Path | None = None) -> Iterator[Mapping[str, str]]:
    """Start the server with one empty bucket and yield the environment of its users.

    Args:
      place: for its data and its log.
      certificates: folder with public.crt and private.key; the server speaks plain HTTP without it.
    """
    port = free_port()
    options: list[str | Path] = ["--port", f"127.0.0.1:{port}"]
    env = {
        "AWS_ENDPOINT_URL": f"http{'s' if certificates else ''}://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": USER,
        "AWS_SECRET_ACCESS_KEY": PASSWORD,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    if certificates:
        options += ["--cert", certificates / "public.crt", "--key", certificates / "private.key"]
        env["AWS_CA_BUNDLE"] = str(certificates / "public.crt")
    # A folder of the gateway is a bucket.
    (place / "data" / BUCKET).mkdir(parents=True)
    command = [program("versitygw"), *options, "posix", place / "data"]
    server = {"ROOT_ACCESS_KEY": USER, "ROOT_SECRET_KEY": PASSWORD}
    own = {**os.environ, **server}
    with started(command, log=place / "log", cwd=place, env=own, port=port):
        yield env


def client(env: Mapping[str, str]) -> s3fs.S3FileSystem:
    """Return a client of the server, whatever the environment of this process says."""
    return s3fs.S3FileSystem(
        endpoint_url=env["AWS_ENDPOINT_URL"],
        key=USER,
        secret=PASSWORD,
        client_kwargs={"region_name": "us-east-1", "verify": env.get("AWS_CA_BUNDLE")},
        use_listings_cache=False,
        skip_instance_cache=True,
    )
