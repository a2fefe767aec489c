"""Near twins: notes of one pitch whose samples correlate, in one data set or across several.

Only notes of equal pitch are compared, as products of blocks of normalised samples, and only one
pitch's notes are together at a time. The data sets are read once, or as often as memory needs: each
reading keeps the samples of as many pitches as fit. NSynth has about 110 pitches, so that its
289,205 training notes need some 5e8 correlations, where all pairs would be 4e10.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import psutil
from numpy.typing import NDArray

from pipelines.dataset import Dataset
from pipelines.progress import OnProgress, Progress, ignore

# Above it two notes count as twins. Recordings of one note at two velocities reach it too.
MIN_CORRELATION: Final = 0.95

_BLOCK_NOTES: Final = 1_024

# Share of the free memory that holds samples.
_SHARE: Final = 0.4

Audio = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Twins:
    """Pairs of notes whose samples correlate; each is of [num_pairs].

    Attributes:
      row: note of the first data set.
      dataset: place of the data set that the other note is in.
      other: row of the other note there; in the first data set one before `row`.
      correlation: float32, from -1 to 1; negative where one is the other with its sign changed.
    """

    row: Ints
    dataset: Ints
    other: Ints
    correlation: NDArray[np.float32]


def find_twins(
    datasets: Sequence[Dataset],
    *,
    max_bytes: int | None = None,
    on_progress: OnProgress = ignore,
) -> Twins:
    """Find the twins of the notes of the first data set, in itself and in the others.

    Args:
      datasets: with the same number of samples per note.
      max_bytes: of samples to hold at a time; a share of the free memory by default. One pitch
        is always held whole.
    """
    pitches = [dataset.read(["pitch"])["pitch"].to_numpy() for dataset in datasets]
    if max_bytes is None:
        max_bytes = int(_SHARE * psutil.virtual_memory().available)
    empty = np.empty(0, np.int64)
    groups = list(_bunches(pitches, max_notes=max_bytes // (4 * datasets[0].num_samples)))
    found, done = [(empty, empty, empty, np.empty(0, np.float32))], 0
    num_pitches = sum(map(len, groups))
    for wanted in groups:
        held = [
            _read(dataset, np.flatnonzero(np.isin(pitch, wanted)))
            for dataset, pitch in zip(datasets, pitches, strict=True)
        ]
        for number in wanted:
            rows = [np.flatnonzero(pitch == number) for pitch in pitches]
            audio = [
                samples[np.searchsorted(known, own)]
                for (known, samples), own in zip(held, rows, strict=True)
            ]
            for place, other in enumerate(audio):
                near, far, correlation = correlate(audio[0], other, is_same=place == 0)
                found.append(
                    (rows[0][near], np.full(len(near), place), rows[place][far], correlation)
                )
            done += 1
            on_progress(Progress("find twins", done, num_pitches, "pitches"))
    return Twins(
        row=np.concatenate([part[0] for part in found]),
        dataset=np.concatenate([part[1] for part in found]),
        other=np.concatenate([part[2] for part in found]),
        correlation=np.concatenate([part[3] for part in found]),
    )


def normalise(audio: Audio) -> Audio:
    """Return samples with mean 0 and length 1, so that products are correlations; silence is 0.

    Args:
      audio: float32 [num_notes, num_samples].
    """
    centred = audio - audio.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    normal: Audio = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    return normal


def correlate(
    audio: Audio, other: Audio, *, is_same: bool
) -> tuple[Ints, Ints, NDArray[np.float32]]:
    """Return the pairs of notes that correlate by more than `MIN_CORRELATION`, of either sign.

    Args:
      audio: float32 [num_notes, num_samples], normalised.
      other: float32 [num_others, num_samples], normalised.
      is_same: both are the same notes, of which each is compared with those before it.

    Returns:
      Positions in `audio` and in `other`, int64 [num_pairs], and the correlations.
    """
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))]
    for begin in range(0, len(audio), _BLOCK_NOTES):
        block = audio[begin : begin + _BLOCK_NOTES]
        # [block, others]; of the same notes those up to the end of the block.
        limit = begin + len(block) if is_same else len(other)
        products = block @ other[:limit].T
        near, far = np.nonzero(np.abs(products) > MIN_CORRELATION)
        if is_same:
            is_before = far < near + begin
            near, far = near[is_before], far[is_before]
        found.append((near + begin, far, products[near, far]))
    near, far, correlation = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return near, far, correlation


def _bunches(pitches: Sequence[Ints], *, max_notes: int) -> Iterator[list[int]]:
    """Yield the pitches of the first data set, as many at a time as have `max_notes` notes."""
    bunch, size = list[int](), 0
    for number in np.unique(pitches[0]).tolist():
        num = sum(int((pitch == number).sum()) for pitch in pitches)
        if bunch and size + num > max_notes:
            yield bunch
            bunch, size = [], 0
        bunch.append(number)
        size += num
    if bunch:
        yield bunch


def _read(dataset: Dataset, rows: Ints) -> tuple[Ints, Audio]:
    """Return some rows and their normalised samples, from one reading of the data set."""
    audio = np.empty((len(rows), dataset.num_samples), np.float32)
    first = done = 0
    for samples in dataset.iter_audio():
        inside = rows[(rows >= first) & (rows < first + len(samples))] - first
        audio[done : done + len(inside)] = normalise(samples[inside])
        first, done = first + len(samples), done + len(inside)
    return rows, audio
