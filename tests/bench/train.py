"""Training through this project's loader against `fit` on the same arrays in memory.

    python -m tests.bench.train MANIFEST [--epochs N] [--limit NOTES]

Both train in this process, in turn, on the same notes in batches of the same size; the first epoch,
which compiles, is not counted. The last line is one JSON object; figures compare within it only.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.dataset import open_dataset
from pipelines.train.backend import device, keras
from pipelines.train.batches import Batches, Notes
from pipelines.train.cache import cached_audio
from pipelines.train.experiment import MODEL_NAMES, Experiment
from pipelines.train.fit import untrained
from pipelines.train.split import NO_LABEL, labels_of


class Timer(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._begun)


def seconds_an_epoch(fit: Callable[[Timer], Any]) -> float:
    timer = Timer()
    fit(timer)
    return min(timer.seconds[1:])


def compare(name: str, notes: Notes, experiment: Experiment) -> dict[str, float]:
    """Notes a second by both ways; the faster epoch of each counts."""
    x: NDArray[np.float32] = np.ascontiguousarray(notes.audio[notes.rows])[:, :, np.newaxis]
    given = {"epochs": experiment.epochs, "verbose": 0}
    batches = Batches(notes, batch_size=experiment.batch_size, seed=experiment.seed)
    ours, plain = untrained(name, experiment), untrained(name, experiment)
    loader = seconds_an_epoch(lambda t: ours.fit(batches, shuffle=False, callbacks=[t], **given))
    arrays = seconds_an_epoch(
        lambda t: plain.fit(
            x, notes.labels, batch_size=experiment.batch_size, callbacks=[t], **given
        )
    )
    num = len(notes.rows)
    return {
        "notes_per_second": round(num / loader, 1),
        "arrays_notes_per_second": round(num / arrays, 1),
        "ratio": round(arrays / loader, 3),
    }


def loader_alone(notes: Notes, experiment: Experiment) -> float:
    batches = Batches(notes, batch_size=experiment.batch_size, seed=experiment.seed)
    begun = time.perf_counter()
    for index in range(batches.num_batches):
        batches[index]
    return round(len(notes.rows) / (time.perf_counter() - begun), 1)


def disk_rate(num_bytes: int, folder: str) -> float:
    """MB/s of writing as many bytes, synced."""
    block = os.urandom(2**24)
    begun = time.perf_counter()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(0, num_bytes, len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return round(num_bytes / 1e6 / (time.perf_counter() - begun), 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("manifest")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--limit", type=int, default=None)
    arguments = parser.parse_args()
    experiment = Experiment(epochs=arguments.epochs)
    dataset = open_dataset(arguments.manifest)
    Path(".bench").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=".bench") as folder:
        begun = time.perf_counter()
        audio = cached_audio(dataset, Path(folder))
        cache = round(audio.nbytes / 1e6 / (time.perf_counter() - begun), 1)
        disk = disk_rate(audio.nbytes, folder)
        labels = labels_of(dataset.read(["instrument_family"])["instrument_family"].to_numpy())
        rows = np.flatnonzero(labels != NO_LABEL)[: arguments.limit]
        notes = Notes(audio, rows, labels[rows])
        result: dict[str, Any] = {name: compare(name, notes, experiment) for name in MODEL_NAMES}
        result |= {
            "device": device(),
            "num_notes": len(rows),
            "loader_notes_per_second": loader_alone(notes, experiment),
            "cache_mb_per_second": cache,
            "disk_mb_per_second": disk,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
