import numpy as np
import pyarrow as pa
import pytest

from pipelines.analysis.features import FEATURES, read_metadata
from pipelines.analysis.spectrum import NUM_BANDS, band_edges, band_levels
from tests.pipelines.datasets import row


@pytest.mark.parametrize("feature", FEATURES)
def test_metadata_never_tells_the_instrument(feature: str) -> None:
    first, second = row(3), row(3, instrument=99, instrument_str="another", note_str="<b>")
    values = read_metadata(pa.Table.from_pylist([first, second]), feature)
    assert (values[0] == values[1]).all()


def test_metadata_of_all_is_every_feature_side_by_side() -> None:
    notes = pa.Table.from_pylist([row(3, qualities=[1, 0] * 5), row(4, velocity=25)])
    parts = [read_metadata(notes, name) for name in ("pitch", "velocity", "source", "qualities")]
    assert (read_metadata(notes, "metadata") == np.concatenate(parts, axis=1)).all()


def test_band_levels_do_not_depend_on_loudness() -> None:
    audio = np.random.default_rng(0).normal(size=(3, 800)).astype(np.float32)
    quiet = (audio / 4).astype(np.float32)
    assert band_levels(audio) == pytest.approx(band_levels(quiet), abs=1e-5)


def test_band_levels_rise_with_the_frequency_of_a_tone() -> None:
    seconds = np.arange(8_000) / 2_000
    tones = np.sin(2 * np.pi * np.array([[30], [120], [480]]) * seconds).astype(np.float32)
    levels = band_levels(tones)
    assert levels.shape == (3, NUM_BANDS)
    assert (np.diff(levels.argmax(axis=1)) > 0).all()


def test_band_levels_of_silence_are_the_floor() -> None:
    assert band_levels(np.zeros((1, 800), np.float32)) == pytest.approx(-6)


def test_band_edges_are_logarithmic() -> None:
    edges = band_edges(4_001)
    assert edges[:4].tolist() == [1, 2, 3, 4]
    # Half of the bands are below the geometric mean, 63, and the last one is a fourth of all bins.
    assert (edges <= 63).sum() == NUM_BANDS / 2 + 1
    assert 4_001 / edges[-1] == pytest.approx(4_001 ** (1 / NUM_BANDS), rel=0.01)
