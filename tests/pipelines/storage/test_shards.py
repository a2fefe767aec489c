"""Shards read from object storage: in as few requests and bytes as are needed, and sound."""

import re
from pathlib import Path

import numpy as np
import pytest
import s3fs

from pipelines import storage
from pipelines.dataset import Dataset, open_dataset
from pipelines.errors import ShardError
from pipelines.notes import NUM_SAMPLES
from pipelines.train.samples.cache import cached_audio
from tests.pipelines.datasets import row, store
from tests.pipelines.storage.faults import Proxy

NUM_NOTES = 64


@pytest.fixture
def dataset(proxy: Proxy, bucket: str, direct: s3fs.S3FileSystem, tmp_path: Path) -> Dataset:
    """Two shards of noise, a megabyte each, in a bucket."""
    noise = np.random.default_rng(0).normal(0, 0.1, (NUM_NOTES, NUM_SAMPLES)).astype(np.float32)
    rows = [row(number) for number in range(NUM_NOTES)]
    store(tmp_path / "notes", rows, notes_per_shard=NUM_NOTES // 2, audio=noise)
    direct.put(str(tmp_path / "notes"), f"{bucket}/", recursive=True)
    opened = open_dataset(f"{bucket}/notes/manifest.json")
    proxy.seen.clear()
    return opened


def asked(proxy: Proxy) -> list[str]:
    """The requests for the first shard, without its place."""
    found = [(method, target) for method, target, _ in proxy.seen]
    shards = [(method, re.sub(r".*\.parquet\??\S*", "", target)) for method, target in found]
    return [f"{method}{target}".strip() for method, target in shards]


def test_shard_audio_is_one_request(dataset: Dataset, proxy: Proxy) -> None:
    assert sum(map(len, dataset.shard_audio(dataset.manifest.shards[0]))) == NUM_NOTES // 2
    assert asked(proxy) == ["GET"]


def test_scalars_are_read_without_the_samples(dataset: Dataset, proxy: Proxy) -> None:
    assert dataset.read(["pitch"]).num_rows == NUM_NOTES
    ranges = [re.findall(r"\d+", of) for of in asked(proxy) if of.startswith("GET")]
    folder = storage.join(storage.parent(dataset.manifest_uri), "data")
    stored = sum(storage.sizes(folder).values())
    assert 0 < sum(int(end) - int(begin) for begin, end in ranges) < stored / 2


def test_read_notices_what_a_transfer_changed(dataset: Dataset, proxy: Proxy) -> None:
    uri = dataset.shard_uri(dataset.manifest.shards[0])
    sound = storage.read(uri)
    proxy.num_flips = 1
    assert storage.read(uri) == sound
    assert asked(proxy) == ["GET"] * 3


def test_a_cache_reads_again_what_a_transfer_changed(
    dataset: Dataset, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.num_flips = 1
    cached_audio(dataset, tmp_path)
    assert asked(proxy) == ["GET"] * 3


def test_a_cache_names_the_page_that_is_damaged_in_the_store(
    dataset: Dataset, direct: s3fs.S3FileSystem, tmp_path: Path
) -> None:
    uri = dataset.shard_uri(dataset.manifest.shards[0])
    content = bytearray(direct.cat_file(uri))
    content[500_000] ^= 1
    direct.pipe_file(uri, bytes(content))
    with pytest.raises(ShardError, match=r"parquet is damaged: .*checksum"):
        cached_audio(dataset, tmp_path)
