"""The Flink of the compose file converts, and loses nothing with a worker."""

import json
import subprocess
from collections.abc import Iterator, Sequence

import pytest
import s3fs

from infra.engines.settings import CHECKOUT
from infra.sample.splits import write_splits
from tests.engines.composed import PASSWORD, POOLS, USER, Composed, composed
from tests.engines.conftest import BIN, LENIENT, installed
from tests.engines.namespaces import are_possible
from tests.engines.processes import wait_until

SOURCE = "s3://nsynth/source/nsynth-train.tfrecord"
ON_FLINK = (
    "--runner",
    "flink",
    "--engine-settings",
    str(CHECKOUT / "infra" / "engines" / "compose-flink.toml"),
)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    for part in ("boot", "flink", "flink-job-server", "versitygw", "worker"):
        installed(part)
    if not are_possible():
        pytest.skip("only root can give each service a network of its own")
    with composed(tmp_path_factory.mktemp("composed")) as services:
        yield services


@pytest.fixture(scope="module")
def storage(services: Composed) -> s3fs.S3FileSystem:
    fs = s3fs.S3FileSystem(
        endpoint_url=f"http://{services.net.addresses['storage']}:9000",
        key=USER,
        secret=PASSWORD,
        client_kwargs={"region_name": "us-east-1"},
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    write_splits(str(services.place / "source"), {"train": 300, "valid": 40, "test": 40})
    fs.put_file(str(services.place / "source/nsynth-train.tfrecord"), SOURCE)
    return fs


def started(services: Composed, arguments: Sequence[str], root: str) -> subprocess.Popen[str]:
    command = [str(BIN / "nsynth"), "convert", SOURCE, "--root", root, "--range-mib", "1"]
    return subprocess.Popen(
        services.net.command("worker", [*command, *LENIENT, *arguments, "--json"]),
        env=services.worker(),
        cwd=services.place,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def digests(running: subprocess.Popen[str], storage: s3fs.S3FileSystem) -> tuple[str, str]:
    out, err = running.communicate(timeout=300)
    assert running.returncode == 0, err
    manifest = json.loads(storage.cat_file(json.loads(out.splitlines()[-1])["manifest"]))
    return manifest["manifest_digest"], manifest["samples_digest"]


@pytest.fixture(scope="module")
def expected(services: Composed, storage: s3fs.S3FileSystem) -> tuple[str, str]:
    return digests(started(services, (), "s3://nsynth/local"), storage)


def test_each_task_manager_converts_with_its_own_workers(
    services: Composed, storage: s3fs.S3FileSystem, expected: tuple[str, str]
) -> None:
    running = started(services, ON_FLINK, "s3://nsynth/flink")
    assert digests(running, storage) == expected
    assert [services.num_started(pool) for pool in POOLS] == [1, 1]


def test_killed_workers_are_begun_again(
    services: Composed, storage: s3fs.S3FileSystem, expected: tuple[str, str]
) -> None:
    running = started(services, ON_FLINK, "s3://nsynth/killed")
    shards = "nsynth/killed/notes/*/data/part-*.parquet"
    wait_until(lambda: bool(storage.exists("nsynth/killed/notes")), seconds=120)
    wait_until(lambda: len(storage.glob(shards)) >= 3, seconds=120)
    services.kill_workers(POOLS[0])
    assert digests(running, storage) == expected
    assert services.num_started(POOLS[0]) >= 3
