import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DatasetError
from pipelines.predict.sound import Sound, make_sound, read_sound, to_notes


def tone(seconds: float, rate_hz: int, pitch_hz: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * pitch_hz * time)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_at_any_rate(rate_hz: int) -> None:
    notes, done = to_notes(Sound(tone(4, rate_hz), rate_hz))
    assert notes.shape == (1, 64_000)
    assert done == ""
    assert np.abs(np.fft.rfft(notes[0])).argmax() == 4 * 440
    np.testing.assert_allclose(notes[0][1000:-1000].std(), 0.5 / 2**0.5, rtol=0.01)


def test_a_note_of_the_models_rate_and_length_is_left_alone() -> None:
    audio = tone(4, 16_000)
    notes, _ = to_notes(Sound(audio, 16_000))
    np.testing.assert_array_equal(notes[0], audio)


@pytest.mark.parametrize(
    ("seconds", "num_notes", "words"),
    [
        (1.0, 1, "1.00 s, padded with silence to 4 s"),
        (4.5, 1, "4.50 s, of which the first 4 s"),
        (9.0, 3, "9.00 s, mean of 3 pieces of 4 s"),
        (8.5, 2, "8.50 s, mean of 2 pieces of 4 s"),
    ],
)
def test_other_lengths_are_padded_or_cut_and_it_is_said(
    seconds: float, num_notes: int, words: str
) -> None:
    notes, done = to_notes(Sound(tone(seconds, 16_000), 16_000))
    assert len(notes) == num_notes
    assert done == words


@given(st.integers(1, 400_000))
def test_no_length_is_refused(num_samples: int) -> None:
    notes, _ = to_notes(Sound(np.ones(num_samples, np.float32), 16_000))
    assert notes.shape[1] == 64_000
    assert notes.sum() <= num_samples


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_files_are_read_with_all_their_channels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"note.{suffix}"
    left = tone(1, 44_100)
    soundfile.write(path, np.stack([left, np.zeros_like(left)], axis=1), 44_100)
    sound = read_sound(str(path))
    assert sound.rate_hz == 44_100
    assert len(sound.audio) == 44_100
    np.testing.assert_allclose(sound.audio.std(), left.std() / 2, rtol=0.02)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\x24\0\0\0WAVEfmt no", b"\xff" * 4000])
def test_file_that_is_no_sound_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"bad\.wav is not a sound file that can be decoded: \w"):
        read_sound(str(path))


def test_empty_sound_is_refused(tmp_path: Path) -> None:
    data = io.BytesIO()
    soundfile.write(data, np.zeros((0, 1), np.float32), 16_000, format="WAV")
    path = tmp_path / "empty.wav"
    path.write_bytes(data.getvalue())
    with pytest.raises(DatasetError, match=r"empty\.wav holds no samples"):
        read_sound(str(path))


def test_samples_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DatasetError, match="the sound has samples that are not finite"):
        make_sound(np.array([0.0, np.nan]), 16_000)
    with pytest.raises(DatasetError, match="has 0 samples per second"):
        make_sound(np.array([0.0]), 0)
