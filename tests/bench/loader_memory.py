"""Memory that the loader takes for a data set of any size, with its samples in the memory map.

    python -m tests.bench.loader_memory [--notes N] [--batches N]

Generates a data set as large as NSynth's train split, builds its cache, opens it again, and reads
batches of an epoch in random order. Counts what only this process holds, above what it holds when
it has started: pages of the mapped file are the system's, which takes them back when it needs
them. The last line is one JSON object.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipelines.dataset import open_dataset
from pipelines.notes import NUM_SAMPLES
from pipelines.train.samples.batches import VARIABLE, Batches, Notes, place_samples
from pipelines.train.samples.cache import cached_audio
from tests.pipelines.datasets import row, store

NOTES_PER_SHARD = 512


def generate(folder: str, num_notes: int) -> None:
    note = np.random.default_rng(0).normal(0, 0.1, NUM_SAMPLES).astype(np.float32)
    audio = np.broadcast_to(note, (num_notes, NUM_SAMPLES))
    rows = [row(number) for number in range(num_notes)]
    store(Path(folder) / "notes", rows, notes_per_shard=NOTES_PER_SHARD, audio=audio)


def own_bytes() -> int:
    memory = psutil.Process().memory_info()
    return int(memory.rss - memory.shared)


def peak(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What some work gives, and the memory and the time that it takes."""
    before, highest, ended = own_bytes(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            highest[0] = max(highest[0], own_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begun
    ended.set()
    watcher.join()
    megabytes = max(0, highest[0] - before) / 1e6
    return result, {"peak_mb": round(megabytes), "seconds": round(seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--notes", type=int, default=289_205)
    parser.add_argument("--batches", type=int, default=2000)
    arguments = parser.parse_args()
    os.environ[VARIABLE] = "map"
    Path(".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=".bench") as folder:
        # A process of its own: its memory is not the loader's.
        generator = multiprocessing.get_context("spawn").Process(
            target=generate, args=(folder, arguments.notes)
        )
        generator.start()
        generator.join()
        dataset, cache = open_dataset(f"{folder}/notes/manifest.json"), Path(folder, "cache")
        started = own_bytes()
        _, build = peak(lambda: cached_audio(dataset, cache))
        audio, opened = peak(lambda: place_samples(cached_audio(dataset, cache)))
        rows = np.arange(len(audio))
        batches = Batches(Notes(audio, rows, rows % 10), batch_size=32, seed=0)
        num = min(arguments.batches, batches.num_batches)
        _, read = peak(lambda: [batches[index][0].sum() for index in range(num)])
    result = {
        "num_notes": len(rows),
        "cache_gb": round(audio.nbytes / 1e9, 2),
        "started_mb": round(started / 1e6),
        "build": build,
        "open": opened,
        "read": read | {"notes": num * 32},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
