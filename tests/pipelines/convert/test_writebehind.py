import threading
from collections.abc import Callable

import pytest

from pipelines.convert.writebehind import WriteBehind


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("write-behind")]


def test_write_behind_writes_beside_its_caller_and_in_order() -> None:
    written, go_on = list[int](), threading.Event()

    def write(number: int) -> Callable[[], None]:
        def do() -> None:
            assert go_on.wait(10)
            written.append(number)

        return do

    with WriteBehind() as store:
        store(write(1))
        assert not written
        go_on.set()
        store(write(2))
        assert written[:1] == [1]
        store(write(3))
    assert written == [1, 2, 3]
    assert not threads()


def failing() -> None:
    raise OSError("the disk is full")


def test_write_behind_fails_the_call_after_a_write_that_failed() -> None:
    written = list[int]()
    with WriteBehind() as store:
        store(failing)
        with pytest.raises(OSError, match="disk is full"):
            store(lambda: written.append(1))
    assert not written
    assert not threads()


def test_write_behind_fails_its_end_after_a_last_write_that_failed() -> None:
    with pytest.raises(OSError, match="disk is full"), WriteBehind() as store:
        store(failing)
    assert not threads()
