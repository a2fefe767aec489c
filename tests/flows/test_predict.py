"""`nsynth predict` without a model costs a sentence; with one, see tests/pipelines/predict."""

from pathlib import Path

import pytest

from tests.flows.command import run


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["none.wav"], 1, "there is no file none.wav"),
        (["."], 1, ". has no sound file; expected .wav"),
        (["note.wav", "--output", "x.txt"], 2, "expected a .csv or .parquet file, got x.txt"),
    ],
)
def test_predict_refuses_in_a_sentence(
    tmp_path: Path, words: list[str], code: int, sentence: str
) -> None:
    done = run("nsynth", "predict", *words, "--root", str(tmp_path), cwd=tmp_path)
    assert done.returncode == code
    assert sentence in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
