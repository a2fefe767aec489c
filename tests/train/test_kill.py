"""Two kills; `python -m tests.train.kill` does twenty."""

from pathlib import Path

from tests.train.kill import kill_often


def test_training_after_a_kill_ends_as_if_there_had_been_none(tmp_path: Path) -> None:
    killed = list(kill_often(tmp_path, model="optimised", epochs=2, kills=2, seed=0))
    assert len(killed) == 2
