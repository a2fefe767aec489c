import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from pipelines.convert.beam import BackgroundWriter


def threads() -> list[threading.Thread]:
    return [
        thread for thread in threading.enumerate() if thread.name.startswith("background-writer")
    ]


def test_background_writer_writes_beside_its_caller_and_in_order() -> None:
    written, go_on = list[int](), threading.Event()

    def write(number: int) -> Callable[[], None]:
        def do() -> None:
            assert go_on.wait(10)
            written.append(number)

        return do

    with closing(BackgroundWriter()) as writer:
        writer.submit(write(1))
        assert not written
        go_on.set()
        writer.submit(write(2))
        assert written[:1] == [1]
        writer.submit(write(3))
    assert written == [1, 2, 3]
    assert not threads()


def failing() -> None:
    raise OSError("the disk is full")


def test_background_writer_fails_the_call_after_a_write_that_failed() -> None:
    written = list[int]()
    with closing(BackgroundWriter()) as writer:
        writer.submit(failing)
        with pytest.raises(OSError, match="disk is full"):
            writer.submit(lambda: written.append(1))
    assert not written
    assert not threads()


def test_background_writer_fails_its_end_after_a_last_write_that_failed() -> None:
    with pytest.raises(OSError, match="disk is full"), closing(BackgroundWriter()) as writer:
        writer.submit(failing)
    assert not threads()
