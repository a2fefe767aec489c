"""Options from a file and from the environment."""

from pathlib import Path

import pytest

from tests.flows.command import run


def write(folder: Path, text: str) -> str:
    path = folder / "retrain.toml"
    path.write_text(text)
    return str(path)


def test_config_gives_what_the_command_line_leaves_out(tmp_path: Path) -> None:
    path = write(
        tmp_path, 'train = "x.tfrecord"\ntest = "y.tfrecord"\nmodel = "optimised"\nepochs = 0\n'
    )
    done = run("nsynth", "retrain", "--config", path)
    assert done.returncode == 2
    assert "Invalid value for '--epochs'" in done.stderr
    done = run("nsynth", "retrain", "--config", path, "--epochs", "3", "--dropout", "1")
    assert done.stderr.endswith("dropout must be at least 0 and below 1, got 1.0\n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("epoch = 3\n", "has 'epoch', which is not an option of retrain; the nearest is 'epochs'"),
        ("epochs = \n", "Invalid value"),
        (None, "No such file or directory"),
    ],
)
def test_config_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, text: str | None, sentence: str
) -> None:
    path = str(tmp_path / "missing.toml") if text is None else write(tmp_path, text)
    done = run("nsynth", "retrain", "--config", path)
    assert done.returncode == 2
    assert sentence in done.stderr.splitlines()[-1]


def test_root_comes_from_the_environment(tmp_path: Path) -> None:
    done = run("nsynth", "index", env={"NSYNTH_ROOT": str(tmp_path / "nowhere")})
    assert "nowhere" in done.stderr
