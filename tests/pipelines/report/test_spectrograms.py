import base64
import io

import numpy as np
import pytest
from PIL import Image

from pipelines.notes import NUM_SAMPLES, NUM_SOURCE_SAMPLES, SAMPLE_RATE_HZ, STORED_RATE_HZ
from pipelines.report.note_media import removed_share, spectrogram_image


def tone(
    hz: float, num_samples: int = NUM_SOURCE_SAMPLES, rate: int = SAMPLE_RATE_HZ
) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(num_samples) / rate).astype(np.float32)


def test_removed_share_is_the_energy_above_1_khz() -> None:
    assert removed_share(tone(500)) == pytest.approx(0, abs=1e-3)
    assert removed_share(tone(2000)) == pytest.approx(1, abs=1e-3)
    assert removed_share(tone(500) + 2 * tone(3000)) == pytest.approx(0.8, abs=1e-3)
    assert removed_share(np.zeros(NUM_SOURCE_SAMPLES, np.float32)) == 0


def brightest_hz(uri: str) -> float:
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("L")
    rows = np.asarray(image, float).sum(axis=1)
    return float(1 - rows.argmax() / len(rows)) * SAMPLE_RATE_HZ / 2


@pytest.mark.parametrize("hz", [400, 2000, 6000])
def test_spectrogram_image_is_bright_at_the_pitch(hz: float) -> None:
    assert brightest_hz(spectrogram_image(tone(hz))) == pytest.approx(hz, abs=130)


def test_spectrogram_image_leaves_the_upper_part_of_a_stored_note_dark() -> None:
    uri = spectrogram_image(tone(400, NUM_SAMPLES, STORED_RATE_HZ), rate_hz=STORED_RATE_HZ)
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("L")
    pixels = np.asarray(image, float)
    assert pixels[: int(len(pixels) * 0.85)].max() < 10
    assert pixels.max() > 100
    assert brightest_hz(uri) == pytest.approx(400, abs=130)


def test_spectrogram_image_of_silence_is_dark() -> None:
    assert brightest_hz(spectrogram_image(np.zeros(NUM_SOURCE_SAMPLES, np.float32))) >= 0
