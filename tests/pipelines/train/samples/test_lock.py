import threading
from pathlib import Path

import pytest

from pipelines.train.samples.cache import locked


def test_locked_lets_one_in_at_a_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path, order = tmp_path / "file", list[str]()
    entered, may_leave = threading.Event(), threading.Event()

    def first() -> None:
        with locked(path):
            entered.set()
            may_leave.wait()
            order.append("first")

    def second() -> None:
        with locked(path):
            order.append("second")

    threads = [threading.Thread(target=work) for work in (first, second)]
    threads[0].start()
    entered.wait()
    threads[1].start()
    while "waiting for another process, which writes" not in caplog.text:
        assert threads[1].is_alive()
    may_leave.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize("leave", [Path.unlink, lambda path: path.rename(f"{path}.done")])
def test_locked_never_gives_a_file_that_lost_its_name(tmp_path: Path, leave: object) -> None:
    path, found = tmp_path / "file", list[bool]()
    assert callable(leave)

    def second() -> None:
        with locked(path) as descriptor:
            path.write_text("x")
            found.append(Path(f"/dev/fd/{descriptor}").read_text() == "x")

    with locked(path):
        waiting = threading.Thread(target=second)
        waiting.start()
        leave(path)
    waiting.join()
    assert found == [True]
