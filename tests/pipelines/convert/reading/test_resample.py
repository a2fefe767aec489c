import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pipelines.convert.reading.tfrecord_range import resample
from tests.pipelines.convert.records import ATOL, NUM_SAMPLES, SAMPLE_RATE_HZ, Audio, sound

STORED = 8_000


@pytest.fixture(scope="module")
def notes() -> Audio:
    return np.stack([sound(number) for number in range(11)])


def tone(hertz: float, rate_hz: int, num_samples: int) -> Audio:
    return np.sin(2 * np.pi * hertz * np.arange(num_samples) / rate_hz).astype(np.float32)


def test_resample_equals_scipy_note_by_note(notes: Audio) -> None:
    found = resample(notes, num_samples=STORED)
    assert found.shape == (11, STORED)
    assert str(found.dtype) == "float32"
    for stored, original in zip(found, notes, strict=True):
        exact = signal.resample(original.astype(np.float64), STORED)
        np.testing.assert_allclose(stored, exact, rtol=0, atol=ATOL)


@given(
    num_samples=st.sampled_from([1_000, 4_000, 64_000]) | st.integers(1_000, 64_000),
    number=st.integers(0, 10),
)
@settings(max_examples=25, deadline=None)
def test_resample_equals_scipy_at_any_length(num_samples: int, number: int) -> None:
    original = sound(number)
    [found] = resample(original[np.newaxis], num_samples=num_samples)
    exact = signal.resample(original.astype(np.float64), num_samples)
    assert found.shape == (num_samples,)
    assert str(found.dtype) == "float32"
    np.testing.assert_allclose(found, exact, rtol=0, atol=ATOL)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_resample_of_a_note_does_not_depend_on_its_batch(notes: Audio, size: int) -> None:
    whole = resample(notes, num_samples=STORED)
    for start in range(0, len(notes), size):
        part = resample(notes[start : start + size], num_samples=STORED)
        np.testing.assert_allclose(part, whole[start : start + size], rtol=0, atol=ATOL)


def test_resample_to_the_same_length_changes_nothing(notes: Audio) -> None:
    same = resample(notes[:2], num_samples=NUM_SAMPLES)
    np.testing.assert_array_equal(same, notes[:2])


@pytest.mark.parametrize("hertz", [50.0, 440.0, 998.0])
def test_resample_keeps_a_tone_below_one_kilohertz(hertz: float) -> None:
    found = resample(tone(hertz, SAMPLE_RATE_HZ, NUM_SAMPLES)[np.newaxis], num_samples=STORED)
    expected = tone(hertz, SAMPLE_RATE_HZ * STORED // NUM_SAMPLES, STORED)
    # The sine itself is rounded to float32, and so is its phase.
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("hertz", [1002.0, 4000.0])
def test_resample_removes_a_tone_above_one_kilohertz(hertz: float) -> None:
    found = resample(tone(hertz, SAMPLE_RATE_HZ, NUM_SAMPLES)[np.newaxis], num_samples=STORED)
    np.testing.assert_allclose(found, 0, atol=1e-4)
