"""Sounds decoded again: whole, of the right pitch, and no louder than they were."""

import base64
import io

import numpy as np
import pytest
import soundfile

from pipelines.notes import NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ
from pipelines.report.note_media import Sound, original_sound, stored_sound


def tone(num_samples: int, rate_hz: float, hz: float, peak: float = 0.8) -> np.ndarray:
    seconds = np.arange(num_samples) / rate_hz
    return np.asarray(peak * np.sin(2 * np.pi * hz * seconds), np.float32)


def heard(sound: Sound) -> tuple[np.ndarray, int]:
    head, data = sound.uri.split(",")
    assert head == "data:audio/mpeg;base64"
    audio, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(data)))
    return audio, rate_hz


@pytest.mark.parametrize(
    ("sound", "hz"),
    [
        (original_sound(tone(NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ, 440)), 440),
        (original_sound(tone(NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ, 3000, peak=3.0)), 3000),
        (stored_sound(tone(8_000, 2_000, 440)), 440),
        (stored_sound(tone(1_000, 250, 100)), 100),
        (stored_sound(tone(1_001, 250.25, 100)), 100),
        (stored_sound(tone(40_000, 10_000, 4_500)), 4_500),
        (stored_sound(tone(64_000, 16_000, 7_000)), 7_000),
    ],
)
def test_sound_is_four_seconds_of_the_same_pitch(sound: Sound, hz: float) -> None:
    audio, rate_hz = heard(sound)
    assert len(audio) / rate_hz == pytest.approx(4, abs=0.1)
    peak = np.abs(np.fft.rfft(audio)).argmax() * rate_hz / len(audio)
    assert peak == pytest.approx(hz, abs=2)
    assert np.abs(audio).max() < 1.2
    assert len(sound.uri) < 40_000


def test_stored_sound_says_that_it_is_no_original() -> None:
    assert not stored_sound(tone(8_000, 2_000, 100)).is_original
    assert not stored_sound(tone(63_999, 15_999.75, 100)).is_original
    assert stored_sound(tone(NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ, 100)).is_original
    assert original_sound(np.zeros(NUM_SOURCE_SAMPLES, np.float32)).is_original
