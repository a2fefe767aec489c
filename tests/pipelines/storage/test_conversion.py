"""A whole conversion from S3 to S3 through a network that fails."""

import os
from pathlib import Path
from typing import Any

import pytest
import s3fs

from pipelines.convert.job import convert
from pipelines.convert.manifest import Manifest
from pipelines.convert.plan import Parameters
from tests.pipelines.convert.records import flipped, frame, note, tfrecord
from tests.pipelines.storage.faults import Proxy, seeded

RANGES = Parameters(range_bytes=300_000)
"""One note or two."""

SEEDS = range(int(os.environ.get("NSYNTH_FAULT_SEEDS", "1")))


def digests(manifest: Manifest) -> tuple[str, str]:
    return manifest.manifest_digest, manifest.samples_digest


@pytest.mark.parametrize("seed", SEEDS)
def test_convert_through_faults_ends_as_on_a_sound_disk(
    proxy: Proxy, direct: s3fs.S3FileSystem, bucket: str, tmp_path: Path, seed: int
) -> None:
    source = tmp_path / "nsynth-valid.tfrecord"
    notes = [tfrecord(note(number)) for number in range(14)]
    notes[5:5] = [flipped(frame(note(99)), 9_999), frame(b"no message")]
    source.write_bytes(b"".join(notes))
    options: dict[str, Any] = {"parameters": RANGES, "num_workers": 2, "max_quarantined": 1.0}
    _, expected = convert([str(source)], root=str(tmp_path / "root"), **options)
    direct.put_file(str(source), f"{bucket}/data/{source.name}")

    proxy.plan = seeded(seed, share=0.5)
    uri, found = convert([f"{bucket}/data/{source.name}"], root=f"{bucket}/root", **options)

    assert digests(found) == digests(expected)
    assert (found.num_notes, found.num_quarantined) == (14, 2)
    assert proxy.faults.total() > 10
    assert orphans(direct, uri, found) == set()
    assert direct.list_multipart_uploads(bucket.removeprefix("s3://")) == []


def orphans(direct: s3fs.S3FileSystem, manifest_uri: str, manifest: Manifest) -> set[str]:
    """Objects of a data set, its quarantine apart, that its manifest does not list."""
    folder = manifest_uri.removeprefix("s3://").rpartition("/")[0]
    stored = {path.removeprefix(f"{folder}/") for path in direct.find(folder)}
    listed = {"manifest.json", "README.md", *(shard.name for shard in manifest.shards)}
    quarantine = {f"quarantine/{shard}" for shard in [*listed, "spans.parquet"]}
    return stored - listed - quarantine
