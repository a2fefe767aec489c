"""The automations, as the server reads them."""

from typing import Any

import pytest
from prefect.events.schemas.automations import AutomationCore

from infra.orchestration.provision import HEARTBEAT_SEC, QUEUES, SILENCE_SEC, automations, holds


@pytest.mark.parametrize("in_file", [True, False])
def test_automations_are_what_prefect_reads(in_file: bool) -> None:
    for wanted in automations(in_file=in_file):
        read = AutomationCore.model_validate(wanted).model_dump(mode="json")
        assert holds(read, wanted)


def test_starts_are_watched_only_where_no_event_is_lost() -> None:
    assert len(automations(in_file=True)) == 1
    assert len(automations(in_file=False)) == 2


def test_a_run_is_dead_after_two_and_a_half_heartbeats() -> None:
    assert (HEARTBEAT_SEC, SILENCE_SEC) == (30, 75)


@pytest.mark.parametrize("in_file", [True, False])
def test_each_heartbeat_restarts_the_alarm(in_file: bool) -> None:
    trigger = automations(in_file=in_file)[0]["trigger"]
    heartbeat = "prefect.flow-run.heartbeat"
    assert trigger["after"] == [heartbeat]
    assert heartbeat in trigger["expect"]
    assert trigger["within"] == 75
    ends = {"Completed", "Failed", "Crashed", "Cancelled"}
    assert {f"prefect.flow-run.{end}" for end in ends} <= set(trigger["expect"])


def test_one_run_trains_at_a_time() -> None:
    assert QUEUES["gpu"][0] == 1


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ({"a": 1, "id": 7}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"b": 1}, {"a": 1}, False),
        ({"a": ["y", "x"]}, {"a": ["x", "y"]}, True),
        ({"a": ["x"]}, {"a": ["x", "y"]}, False),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, True),
        ({"within": 75.0}, {"within": 75}, True),
    ],
)
def test_holds_looks_only_at_what_is_wanted(found: Any, wanted: Any, expected: bool) -> None:
    assert holds(found, wanted) is expected
