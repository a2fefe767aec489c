"""The automations, as the server reads and stores them."""

from datetime import timedelta
from typing import Any

import pytest
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger

from infra.orchestration.provision import HEARTBEAT_SEC, QUEUES, SILENCE_SEC, automations


@pytest.mark.parametrize("in_file", [True, False])
def test_automations_come_back_equal(in_file: bool) -> None:
    # `up` replaces only what differs, and a set comes back in any order.
    for wanted in automations(in_file=in_file):
        stored: dict[str, Any] = wanted.model_dump(mode="json")
        stored["trigger"]["expect"].reverse()
        stored |= {"id": "3f3f3f3f-0000-4000-8000-000000000000"}
        back = AutomationCore.model_validate(Automation.model_validate(stored).model_dump())
        assert back == wanted
        stored["trigger"]["within"] = 7200
        assert AutomationCore.model_validate(stored) != wanted


def test_update_sends_the_types() -> None:
    # Prefect's client sends only the fields that were set.
    for wanted in automations(in_file=False):
        sent = wanted.model_dump(mode="json", exclude_unset=True)
        assert sent["trigger"]["type"] == "event"
        assert sent["actions"][0]["type"] == "change-flow-run-state"


def test_starts_are_watched_only_where_no_event_is_lost() -> None:
    assert len(automations(in_file=True)) == 1
    assert len(automations(in_file=False)) == 2


def test_a_run_is_dead_after_two_and_a_half_heartbeats() -> None:
    assert (HEARTBEAT_SEC, SILENCE_SEC) == (30, 75)


@pytest.mark.parametrize("in_file", [True, False])
def test_each_heartbeat_restarts_the_alarm(in_file: bool) -> None:
    trigger = automations(in_file=in_file)[0].trigger
    assert isinstance(trigger, EventTrigger)
    heartbeat = "prefect.flow-run.heartbeat"
    assert trigger.after == {heartbeat}
    assert heartbeat in trigger.expect
    assert trigger.within == timedelta(seconds=75)
    ends = {"Completed", "Failed", "Crashed", "Cancelled"}
    assert {f"prefect.flow-run.{end}" for end in ends} <= trigger.expect


def test_one_run_trains_at_a_time() -> None:
    assert QUEUES["gpu"][0] == 1
