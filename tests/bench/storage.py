"""What object storage costs: an S3 server of its own on this machine, against a folder.

    python -m tests.bench.storage [FILE ...] [--turns N]

Needs an S3 server (`make engines`). Converts and builds the training cache on a folder and on
S3, each in a process of its own; then reads all shards on S3 by turns: through our reader, as the
cache does, and by plain `cat_file` of the same client, as many at once and one by one. Uses 1,000
generated notes where no file is named. The last line is one JSON object; its ratios are bytes of
shards per second, ours over plain.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import psutil

import flows  # noqa: F401 - as the command does: it settles how memory is kept
from infra.sample.splits import write_splits
from pipelines import storage
from pipelines.convert.commit.manifest import Shard
from pipelines.dataset import Dataset, open_dataset
from pipelines.storage.filesystem import resolve
from pipelines.train.samples.cache import READERS
from tests.bench.memory import tree_bytes
from tests.engines.s3_server import BUCKET, client, s3_server

_NUM_NOTES: Final = {"train": 1_000, "valid": 40, "test": 40}

_JOB: Final = """
import sys, time
from pathlib import Path
import flows
from pipelines.convert.job import convert
from pipelines.dataset import open_dataset
from pipelines.train.cache import cached_audio

root, cache, *sources = sys.argv[1:]
begun = time.perf_counter()
manifest, _ = convert(sources, root=root, max_quarantined=0.5)
converted = time.perf_counter()
cached_audio(open_dataset(manifest), Path(cache))
print(manifest, converted - begun, time.perf_counter() - converted)
"""


def job(sources: Sequence[str], root: str, cache: str) -> tuple[str, dict[str, float]]:
    """A conversion and a build of the cache: the manifest, seconds, and the most memory."""
    command = [sys.executable, "-c", _JOB, root, cache, *sources]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        process = psutil.Process(running.pid)
        while running.poll() is None:
            peak = max(peak, tree_bytes(process))
            time.sleep(0.05)
        assert running.stdout
        manifest, convert_sec, cache_sec = running.stdout.read().split()
    return manifest, {
        "convert_sec": round(float(convert_sec), 2),
        "cache_sec": round(float(cache_sec), 2),
        "peak_mb": round(peak / 1e6),
    }


def ours(dataset: Dataset) -> None:
    """Reads the samples of all shards as a build of the cache does, and keeps none."""

    def read(shard: Shard) -> int:
        return sum(len(samples) for samples in dataset.shard_audio(shard, checksums=False))

    with ThreadPoolExecutor(READERS) as pool:
        assert sum(pool.map(read, dataset.manifest.shards)) == dataset.manifest.num_notes


def plain(dataset: Dataset, num_at_once: int) -> None:
    """Fetches the same objects, and looks at nothing."""
    uris = [dataset.shard_uri(shard) for shard in dataset.manifest.shards]
    fs, _ = resolve(uris[0])
    with ThreadPoolExecutor(num_at_once) as pool:
        assert all(pool.map(lambda uri: len(fs.cat_file(uri)), uris))


def seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def reading(manifest: str, turns: int) -> dict[str, Any]:
    """Megabytes of shards a second, by turns; the best of each way."""
    dataset = open_dataset(manifest)
    sizes = storage.sizes(storage.parent(manifest))
    megabytes = sum(sizes[shard.name] for shard in dataset.manifest.shards) / 1e6
    ways: dict[str, Callable[[], None]] = {
        "ours": lambda: ours(dataset),
        "cat_file": lambda: plain(dataset, READERS),
        "cat_file_one_by_one": lambda: plain(dataset, 1),
    }
    best = dict.fromkeys(ways, math.inf)
    for _ in range(turns):
        for name, way in ways.items():
            best[name] = min(best[name], seconds(way))
    rates = {name: round(megabytes / of, 1) for name, of in best.items()}
    return {
        "shards": len(dataset.manifest.shards),
        "shards_mb": round(megabytes, 1),
        "mb_per_second": rates,
        "ratio": round(rates["ours"] / rates["cat_file"], 2),
        "ratio_to_one_by_one": round(rates["ours"] / rates["cat_file_one_by_one"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--turns", type=int, default=15)
    arguments = parser.parse_args()
    Path(".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=".bench") as folder:
        place = Path(folder).absolute()
        files = [Path(file) for file in arguments.files]
        if not files:
            write_splits(str(place / "source"), _NUM_NOTES)
            files = [place / "source" / "nsynth-train.tfrecord"]
        with s3_server(place / "s3") as env:
            print(json.dumps(measured(files, place, env, arguments.turns)))


def measured(files: Sequence[Path], place: Path, env: Mapping[str, str], turns: int) -> Any:
    os.environ.update(env)
    there = [f"s3://{BUCKET}/source/{file.name}" for file in files]
    for file, uri in zip(files, there, strict=True):
        client(env).put_file(str(file), uri)
    here = [str(file) for file in files]
    _, folder = job(here, str(place / "root"), str(place / "cache"))
    manifest, s3 = job(there, f"s3://{BUCKET}/root", str(place / "cache-of-s3"))
    return {
        "source_gb": round(sum(file.stat().st_size for file in files) / 1e9, 2),
        "num_notes": open_dataset(manifest).manifest.num_notes,
        "folder": folder,
        "s3": s3,
        "reading": reading(manifest, turns),
    }


if __name__ == "__main__":
    main()
