"""A whole conversion from S3 to S3 through a network that fails."""

import os
from pathlib import Path

import pytest
import s3fs

from pipelines.convert.commit.manifest import Manifest
from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from tests.pipelines.convert.records import flipped, frame, note, tfrecord
from tests.pipelines.storage.faults import Proxy, seeded

RANGES = Parameters(range_bytes=300_000)
"""One note or two."""

SEEDS = range(int(os.environ.get("NSYNTH_FAULT_SEEDS", "1")))


def digests(manifest: Manifest) -> tuple[str, str]:
    return manifest.manifest_digest, manifest.samples_digest


@pytest.fixture(autouse=True)
def busy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that converts answers late too."""
    monkeypatch.setenv("NSYNTH_STORAGE_TIMEOUT_SEC", "1")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Fourteen notes, and a record and a span that are damaged."""
    records = [tfrecord(note(number)) for number in range(14)]
    records[5:5] = [flipped(frame(note(99)), 9_999), frame(b"no message")]
    path = tmp_path / "nsynth-valid.tfrecord"
    path.write_bytes(b"".join(records))
    return path


def run(source: str, root: str) -> tuple[str, Manifest]:
    return convert([source], root=root, parameters=RANGES, num_workers=2, max_quarantined=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_convert_through_faults_ends_as_on_a_sound_disk(
    seed: int, source: Path, proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str
) -> None:
    _, expected = run(str(source), str(source.parent / "root"))
    direct.put_file(str(source), f"{bucket}/data/{source.name}")
    proxy.plan = seeded(seed, share=0.5)
    uri, found = run(f"{bucket}/data/{source.name}", f"{bucket}/root")
    assert digests(found) == digests(expected)
    assert (found.num_notes, found.num_quarantined) == (14, 2)
    assert proxy.faults.total() > 10
    assert orphans(direct, uri, found) == set()
    assert direct.list_multipart_uploads(bucket.removeprefix("s3://")) == []


def orphans(direct: s3fs.S3FileSystem, manifest_uri: str, manifest: Manifest) -> set[str]:
    """Objects of a data set, its quarantine apart, that its manifest does not list."""
    folder = manifest_uri.removeprefix("s3://").rpartition("/")[0]
    stored = {path.removeprefix(f"{folder}/") for path in direct.find(folder)}
    names = [shard.name for shard in manifest.shards]
    listed = {"manifest.json", "README.md", *(f"data/{name}" for name in names)}
    quarantine = {f"quarantine/{name}" for name in [*names, "spans.parquet"]}
    return stored - listed - quarantine
