import logging
from contextvars import copy_context
from threading import Thread

import pytest

from pipelines.decisions import Decision, collect_decisions, record_decision

log = logging.getLogger(__name__)


def decide(subject: str) -> Decision:
    record_decision(log, "train", subject, "reused", f"{subject} is there")
    return Decision("train", subject, "reused", f"{subject} is there")


def test_decided_logs_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    decide("optimised")
    assert caplog.messages == ["optimised is there"]


def test_heard_holds_what_is_decided_in_the_block_only() -> None:
    decide("before")
    with collect_decisions() as decisions:
        inside = decide("inside")
    decide("after")
    assert decisions == [inside]


def test_heard_passes_on_what_a_block_inside_it_hears() -> None:
    with collect_decisions() as outer:
        first = decide("first")
        with collect_decisions() as inner:
            second = decide("second")
        third = decide("third")
    assert inner == [second]
    assert outer == [first, second, third]


def test_heard_passes_on_what_was_decided_before_a_failure() -> None:
    def fail() -> None:
        with collect_decisions():
            decide("first")
            raise OSError("gone")

    with collect_decisions() as outer, pytest.raises(OSError, match="gone"):
        fail()
    assert [decision.subject for decision in outer] == ["first"]


def test_heard_hears_threads_that_copy_its_context() -> None:
    with collect_decisions() as decisions:
        thread = Thread(target=copy_context().run, args=(decide, "elsewhere"))
        thread.start()
        thread.join()
    assert [decision.subject for decision in decisions] == ["elsewhere"]
