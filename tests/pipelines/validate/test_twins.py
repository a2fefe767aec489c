from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.dataset import Dataset, open_dataset
from pipelines.notes import NUM_SAMPLES
from pipelines.validate.twins import correlate, find_twins, normalise
from tests.pipelines.datasets import row, store

RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(8, NUM_SAMPLES)).astype(np.float32)


def dataset(folder: Path, audio: NDArray[np.float32], pitches: list[int]) -> Dataset:
    rows = [row(number, pitch=pitch) for number, pitch in enumerate(pitches)]
    return open_dataset(store(folder, rows, notes_per_shard=3, audio=audio, file_name=folder.name))


def test_products_of_normalised_samples_are_numpys_correlations() -> None:
    mixed = NOISE[:4] + np.float32(0.2) * NOISE[4:] + 3
    found = normalise(NOISE[:4]) @ normalise(mixed).T
    expected = np.corrcoef(NOISE[:4], mixed)[:4, 4:]
    assert found == pytest.approx(expected, abs=1e-5)


def test_silence_correlates_with_nothing() -> None:
    silence = normalise(np.zeros((2, 100), np.float32))
    assert not len(correlate(silence, silence, is_same=True)[0])


def test_correlate_in_blocks_finds_what_all_pairs_have(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = normalise(NOISE[[0, 1, 0, 2, 1, 0, 3]])
    monkeypatch.setattr("pipelines.validate.twins._BLOCK_NOTES", 2)
    near, far, correlation = correlate(audio, audio, is_same=True)
    assert sorted(zip(near.tolist(), far.tolist(), strict=True)) == [(2, 0), (4, 1), (5, 0), (5, 2)]
    assert correlation == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("max_bytes", [1, 10**9])
def test_find_twins_is_of_equal_pitches_in_all_data_sets(tmp_path: Path, max_bytes: int) -> None:
    first = dataset(tmp_path / "a", NOISE[[0, 1, 0, 0]], [60, 60, 61, 60])
    second = dataset(tmp_path / "b", -NOISE[[1, 5, 0]], [60, 60, 62])
    twins = find_twins([first, second], max_bytes=max_bytes)
    pairs = zip(twins.row.tolist(), twins.dataset.tolist(), twins.other.tolist(), strict=True)
    assert dict(zip(pairs, np.sign(twins.correlation), strict=True)) == {
        (3, 0, 0): 1,
        (1, 1, 0): -1,
    }
