"""Three kills; `python -m tests.fuzz.kill` does fifty."""

from pathlib import Path

from tests.fuzz.kill import kill_often


def test_convert_after_a_kill_ends_as_if_there_had_been_none(tmp_path: Path) -> None:
    assert len(list(kill_often(tmp_path, kills=3, seed=2))) == 3
