"""What `tests.bench.train` measures: training both ways, and the cache against the disk."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.dataset import Dataset, open_dataset
from pipelines.experiment import Experiment
from pipelines.notes import NUM_SAMPLES
from pipelines.parameters import DEFAULT_MODELS
from pipelines.train.fitting.fit import init_model
from pipelines.train.model.backend import device, keras
from pipelines.train.samples.batches import PLACES, VARIABLE, Batches, Notes, place_samples
from pipelines.train.samples.cache import SampleFile, cached_audio
from pipelines.train.selection.split import NO_LABEL, class_labels
from tests.pipelines.datasets import row, store

NOTES_PER_SHARD = 512
"""As many as a range of 128 MiB holds."""


class Timed(Batches):
    """Batches that know how long an epoch took, and the making of its batches."""

    def __init__(self, notes: Notes, experiment: Experiment) -> None:
        super().__init__(notes, batch_size=experiment.batch_size, seed=experiment.seed)
        self.loading_seconds = 0.0

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        batches = super().__iter__()
        while True:
            begun = time.perf_counter()
            batch = next(batches, None)
            self.loading_seconds += time.perf_counter() - begun
            if batch is None:
                return
            yield batch


class Timer(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Seconds of each epoch, and what is done at its begin."""

    def __init__(self, at_begin: Callable[[], None]) -> None:
        super().__init__()
        self.seconds = 0.0
        self._at_begin = at_begin

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._begun = time.perf_counter()
        self._at_begin()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.seconds = time.perf_counter() - self._begun


def generated(folder: Path, num_notes: int) -> str:
    """A data set of notes that fade, with noise, which compress like real ones."""
    random = np.random.default_rng(0)
    time_sec = np.arange(NUM_SAMPLES, dtype=np.float32) / 2000
    audio = np.empty((num_notes, NUM_SAMPLES), np.float32)
    for number in range(num_notes):
        tone = np.sin(2 * np.pi * random.uniform(30, 900) * time_sec)
        noise = random.normal(0, 0.01, NUM_SAMPLES)
        audio[number] = (tone + noise) * np.exp(-time_sec * random.uniform(0.1, 3))
    rows = [row(number) for number in range(num_notes)]
    return store(folder / "generated", rows, notes_per_shard=NOTES_PER_SHARD, audio=audio)


def measure(manifest: str, folder: Path, *, limit: int, repeats: int) -> dict[str, Any]:
    """All figures, by name."""
    dataset = open_dataset(manifest)
    audio, cache = cache_rates(dataset, folder, repeats=min(repeats, 3))
    labels = class_labels(dataset.read(["instrument_family"])["instrument_family"].to_numpy())
    usable = np.flatnonzero(labels != NO_LABEL)
    # From the whole data set, as training reads it.
    rows = np.sort(np.random.default_rng(0).permutation(usable)[:limit])
    experiment = Experiment()
    notes = Notes(place_samples(audio), rows, labels[rows])
    return {
        **{
            name: compare(name, notes, experiment, audio=audio, repeats=repeats)
            for name in DEFAULT_MODELS
        },
        "device": device(),
        "num_notes": len(rows),
        "batch_size": experiment.batch_size,
        "loader_notes_per_second": loader_rates(audio, labels, experiment),
        **cache,
    }


def compare(
    name: str, notes: Notes, experiment: Experiment, *, audio: SampleFile, repeats: int
) -> dict[str, Any]:
    """Notes a second by both ways, and of our epochs the share in which batches were made.

    The share includes the way to the device; there the step before may go on meanwhile.
    """
    ours, plain = init_model(name, experiment), init_model(name, experiment)
    batches, x = Timed(notes, experiment), np.ascontiguousarray(audio[notes.rows])[:, :, np.newaxis]
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}

    def epoch_of_ours(number: int) -> None:
        batches.loading_seconds = 0.0
        timer = Timer(lambda: batches.start_epoch(number))
        ours.fit(batches, shuffle=False, callbacks=[timer], verbose=0)
        seconds["ours"].append(timer.seconds)

    def epoch_of_plain(number: int) -> None:
        del number
        timer = Timer(lambda: None)
        plain.fit(x, notes.labels, batch_size=experiment.batch_size, callbacks=[timer], verbose=0)
        seconds["plain"].append(timer.seconds)

    for number in range(repeats + 1):
        ways = [epoch_of_ours, epoch_of_plain]
        for way in ways if number % 2 else reversed(ways):
            way(number)
    pairs = list(zip(seconds["ours"], seconds["plain"], strict=True))[1:]
    ratios = [plain / ours for ours, plain in pairs]
    return {
        "ratio": round(median(ratios), 3),
        "ratio_quartiles": [round(cut, 3) for cut in quantiles(ratios, method="inclusive")[::2]],
        "notes_per_second": round(len(notes.rows) / median(ours for ours, _ in pairs), 1),
        "arrays_notes_per_second": round(len(notes.rows) / median(plain for _, plain in pairs), 1),
        "loading_share": round(batches.loading_seconds / pairs[-1][0], 4),
    }


def loader_rates(
    audio: SampleFile, labels: NDArray[np.int64], experiment: Experiment
) -> dict[str, float]:
    """Notes a second that the loader gives when nobody trains, by the place of the samples."""
    rows, rates = np.flatnonzero(labels != NO_LABEL), dict[str, float]()
    for place in PLACES:
        os.environ[VARIABLE] = place
        batches = Timed(Notes(place_samples(audio), rows, labels[rows]), experiment)
        # The first time may compile, or bring in pages.
        rates[place] = [epoch_rate(batches, epoch) for epoch in range(2)][1]
    del os.environ[VARIABLE]
    forget(Path(audio.path))
    rates["map_from_disk"] = epoch_rate(batches, 2)
    return rates


def epoch_rate(batches: Timed, epoch: int) -> float:
    batches.start_epoch(epoch)
    begun, num_notes = time.perf_counter(), 0
    for _, labels in batches:
        num_notes += len(labels)
    return round(num_notes / (time.perf_counter() - begun), 1)


def forget(path: Path) -> None:
    """Has the system drop what it keeps of a file in memory, where it can be told to."""
    if not hasattr(os, "posix_fadvise"):
        return
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cache_rates(
    dataset: Dataset, folder: Path, *, repeats: int
) -> tuple[SampleFile, dict[str, Any]]:
    """The cache, and MB a second of building and checking it and of the disk, medians."""
    figures: dict[str, list[float]] = {}
    for repeat in range(repeats):
        place = folder / f"cache-{repeat}"
        build = partial(cached_audio, dataset, place)
        seconds = {"cache_build": timed(build), "cache_check": timed(build)}
        audio = build()
        forget(next(place.glob("*.f32")))
        seconds["cache_check_from_disk"] = timed(build)
        for name, sec in (seconds | disk_seconds(audio.nbytes, place)).items():
            figures.setdefault(name, []).append(audio.nbytes / 1e6 / sec)
    medians = {f"{name}_mb_per_second": round(median(found), 1) for name, found in figures.items()}
    built, disk = figures["cache_build"], figures["disk_write_and_read"]
    ratio = round(median(ours / its for ours, its in zip(built, disk, strict=True)), 3)
    return audio, {"cache_mb": round(audio.nbytes / 1e6, 1), **medians, "cache_to_disk": ratio}


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def disk_seconds(num_bytes: int, folder: Path) -> dict[str, float]:
    """Writing as many bytes, synced, and reading them from the disk again."""
    block, path = os.urandom(2**24), folder / "disk"
    counts = [min(len(block), num_bytes - at) for at in range(0, num_bytes, len(block))]

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for count in counts:
                file.write(memoryview(block)[:count])
            os.fsync(file.fileno())

    def read() -> None:
        with path.open("rb", buffering=0) as file:
            for count in counts:
                file.read(count)

    seconds = {"disk_write": timed(write)}
    forget(path)
    seconds["disk_read"] = timed(read)
    path.unlink()
    return seconds | {"disk_write_and_read": sum(seconds.values())}
