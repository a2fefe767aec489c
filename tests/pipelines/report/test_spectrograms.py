import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipelines.notes import NUM_SAMPLES, NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ
from pipelines.report.note_media import removed_share, spectrogram_image


def tone(
    hz: float, num_samples: int = NUM_SOURCE_SAMPLES, rate: int = SAMPLE_RATE_HZ
) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(num_samples) / rate).astype(np.float32)


@pytest.mark.parametrize(("num_samples", "hz"), [(1_000, 125), (8_000, 1_000), (48_000, 6_000)])
def test_removed_share_is_the_energy_above_half_the_stored_rate(
    num_samples: int, hz: float
) -> None:
    def share(audio: np.ndarray) -> float:
        return removed_share(audio, num_samples=num_samples)

    assert share(tone(0.5 * hz)) == pytest.approx(0, abs=1e-3)
    assert share(tone(1.2 * hz)) == pytest.approx(1, abs=1e-3)
    assert share(tone(0.5 * hz) + 2 * tone(1.3 * hz)) == pytest.approx(0.8, abs=1e-3)
    assert share(np.zeros(NUM_SOURCE_SAMPLES, np.float32)) == 0


def test_removed_share_of_notes_that_are_not_resampled_is_none() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, NUM_SOURCE_SAMPLES).astype(np.float32)
    assert removed_share(noise, num_samples=NUM_SOURCE_SAMPLES) == 0


def brightest_hz(uri: str) -> float:
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("L")
    rows = np.asarray(image, float).sum(axis=1)
    return float(1 - rows.argmax() / len(rows)) * SAMPLE_RATE_HZ / 2


@pytest.mark.parametrize("hz", [400, 2000, 6000])
def test_spectrogram_image_is_bright_at_the_pitch(hz: float) -> None:
    assert brightest_hz(spectrogram_image(tone(hz))) == pytest.approx(hz, abs=130)


def test_spectrogram_image_leaves_the_upper_part_of_a_stored_note_dark() -> None:
    uri = spectrogram_image(tone(400, NUM_SAMPLES, 2_000), rate_hz=2_000)
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("L")
    pixels = np.asarray(image, float)
    assert pixels[: int(len(pixels) * 0.85)].max() < 10
    assert pixels.max() > 100
    assert brightest_hz(uri) == pytest.approx(400, abs=130)


@pytest.mark.parametrize("num_samples", [1_000, 1_001, 40_000, 64_000])
def test_spectrogram_image_shows_the_pitch_at_any_rate(num_samples: int) -> None:
    rate_hz = num_samples / 4
    seconds = np.arange(num_samples) / rate_hz
    audio = np.sin(2 * np.pi * 0.3 * rate_hz * seconds).astype(np.float32)
    found = brightest_hz(spectrogram_image(audio, rate_hz=rate_hz))
    assert found == pytest.approx(0.3 * rate_hz, abs=130)


def test_spectrogram_image_of_silence_is_dark() -> None:
    assert brightest_hz(spectrogram_image(np.zeros(NUM_SOURCE_SAMPLES, np.float32))) >= 0
