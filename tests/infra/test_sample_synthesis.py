import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import NearestCentroid

from infra.sample.catalogue import Note, draw, features
from infra.sample.synthesis import play
from infra.sample.timbres import TIMBRES
from pipelines.convert.reading.tfrecord_range import resample
from pipelines.notes import CLASSES, FAMILIES, NUM_SAMPLES, SAMPLE_RATE_HZ


def audio(note: Note, seed: int = 0) -> NDArray[np.float32]:
    return np.asarray(features(note, seed=seed)["audio"], np.float32)


@pytest.mark.parametrize("family", FAMILIES)
def test_play_sounds_at_its_pitch_and_loudness(family: str) -> None:
    low, _ = TIMBRES[family].register
    rng = np.random.default_rng(0)
    sound = play(TIMBRES[family], pitch=low, loudness=0.5, rng=rng)
    assert sound.shape == (64_000,)
    assert sound.dtype == np.float32
    assert np.abs(sound).max() == pytest.approx(TIMBRES[family].level * 0.5, abs=1e-3)
    spectrum = np.abs(np.fft.rfft(sound))
    strongest_hz = np.argmax(spectrum) * SAMPLE_RATE_HZ / len(sound)
    ratio = strongest_hz / (440 * 2 ** ((low - 69) / 12))
    assert min(abs(ratio - partial) for partial, _ in TIMBRES[family].partials) < 0.03


def test_features_sound_louder_with_velocity() -> None:
    peaks = [np.abs(audio(Note("organ", 1, 60, velocity))).max() for velocity in (25, 75, 127)]
    assert peaks == sorted(peaks)
    assert peaks[0] < peaks[-1] / 2


def test_features_follow_from_note_and_seed_alone() -> None:
    note = Note("vocal", 2, 50, 75)
    np.testing.assert_array_equal(audio(note), audio(note))
    assert (audio(note) != audio(note, seed=1)).any()


def test_families_are_told_apart_by_unseen_instruments() -> None:
    rosters = draw(
        {"train": 150, "valid": 0, "test": 60}, {"train": 0, "valid": 0, "test": 0}, seed=0
    )
    train = [note for note in rosters["train"].notes if note.family in CLASSES]
    test = rosters["test"].notes
    classifier = NearestCentroid().fit(log_spectra(train), [note.family for note in train])
    # One in ten would be chance.
    assert classifier.score(log_spectra(test), [note.family for note in test]) > 0.4


def log_spectra(notes: list[Note] | tuple[Note, ...]) -> NDArray[np.float64]:
    """Of what the classifiers hear: [num_notes, 8 stretches x 50 bands]."""
    heard = resample(np.stack([audio(note) for note in notes]), num_samples=NUM_SAMPLES)
    stretches = heard.reshape(len(heard), 8, 1000) * np.hanning(1000)
    bands = np.abs(np.fft.rfft(stretches))[..., :500].reshape(len(heard), 8, 50, 10).mean(-1)
    return np.asarray(np.log(bands + 0.01).reshape(len(heard), -1), np.float64)
