import numpy as np
import pytest

from pipelines.architecture import Augmentation
from pipelines.train.samples.augmentation import augment, batch_generator, delayed

AUDIO = np.random.default_rng(0).normal(size=(8, 400)).astype(np.float32)
LABELS = np.eye(10, dtype=np.float32)[np.arange(8)]


def changed(
    changes: Augmentation, *, seed: int = 0, epoch: int = 0, batch: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    random = batch_generator(seed=seed, epoch=epoch, batch=batch)
    return augment(AUDIO, LABELS, changes=changes, random=random)


@pytest.mark.parametrize(
    "changes",
    [
        Augmentation(delay=0.5),
        Augmentation(gain_db=6),
        Augmentation(tilt_db=12),
        Augmentation(noise_db=-20),
        Augmentation(frequency_mask=0.5),
        Augmentation(time_mask=0.5),
        Augmentation(mixup=0.4),
    ],
)
def test_each_change_follows_from_seed_epoch_and_batch(changes: Augmentation) -> None:
    audio, labels = changed(changes)
    assert audio.dtype == np.float32
    assert audio.shape == AUDIO.shape
    assert not np.array_equal(audio, AUDIO)
    again, _ = changed(changes)
    np.testing.assert_array_equal(audio, again)
    for other in ({"seed": 1}, {"epoch": 1}, {"batch": 1}):
        assert not np.array_equal(changed(changes, **other)[0], audio)
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)


def test_no_change_leaves_the_notes_alone() -> None:
    audio, labels = changed(Augmentation())
    np.testing.assert_array_equal(audio, AUDIO)
    np.testing.assert_array_equal(labels, LABELS)


def test_delayed_puts_silence_before_and_cuts_the_end() -> None:
    later = delayed(AUDIO[:3], np.array([0, 100, 400]))
    np.testing.assert_array_equal(later[0], AUDIO[0])
    np.testing.assert_array_equal(later[1, :100], 0)
    np.testing.assert_array_equal(later[1, 100:], AUDIO[1, :300])
    np.testing.assert_array_equal(later[2], 0)


def test_gain_stays_within_its_decibels() -> None:
    audio, _ = changed(Augmentation(gain_db=6))
    ratio = np.abs(audio / AUDIO)
    assert ratio.min() >= 10 ** (-6 / 20) - 1e-4
    assert ratio.max() <= 10 ** (6 / 20) + 1e-4
    # One gain for a whole note.
    np.testing.assert_allclose(ratio, ratio[:, :1].repeat(400, axis=1), rtol=1e-3)


def test_frequency_mask_silences_one_band() -> None:
    audio, _ = changed(Augmentation(frequency_mask=0.5))
    levels = np.abs(np.fft.rfft(audio, axis=1)) / np.abs(np.fft.rfft(AUDIO, axis=1))
    silent = levels < 1e-3
    assert silent.any()
    assert (silent.sum(axis=1) <= 101).all()
    np.testing.assert_allclose(levels[~silent], 1, rtol=1e-2)


def test_mixup_mixes_labels_as_it_mixes_notes() -> None:
    audio, labels = changed(Augmentation(mixup=1.0))
    level = AUDIO / np.sqrt(np.mean(AUDIO**2, axis=1, keepdims=True))
    np.testing.assert_allclose(audio, labels[:, :8] @ level, rtol=1e-3, atol=1e-4)
    assert (labels.max(axis=1) >= 0.5).all()
