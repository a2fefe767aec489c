"""What a server should hold besides the deployments: queues, variables, automations."""

from collections.abc import Mapping
from typing import Any, Final

POOL: Final = "nsynth"

QUEUES: Final[Mapping[str, tuple[int, str]]] = {
    "gpu": (1, "What trains: one run at a time, since two would not fit on a GPU together."),
    "cpu": (2, "What only converts and validates."),
}
"""Name to the number of runs at a time, and why."""

VARIABLES: Final[Mapping[str, str]] = {
    "nsynth_root": "data",
    "nsynth_train": "nsynth-valid.tfrecord",
    "nsynth_test": "nsynth-test.tfrecord",
}
"""Name to the value where none is given; paths are relative to the checkout."""

HEARTBEAT_SEC: Final = 30
"""Between two signs of life of a run; the least that Prefect takes."""

SILENCE_SEC: Final = 75
"""How long a run may be silent: two heartbeats, and half of one for a busy machine."""

START_SEC: Final = 180
"""How long a run may take from its submission to its first line."""

_RUN: Final = "prefect.flow-run"

_ENDS: Final = ("Completed", "Failed", "Crashed", "Cancelled")
"""No wildcard: what an automation looks at is written, and of the writes that a database in a file
refuses while others write, those of a heartbeat wait, but those of an end are given up after five
attempts. What then fires for a run that has ended is refused, and does no harm."""


def automations(*, in_file: bool) -> list[dict[str, Any]]:
    """What ends the runs that cannot end by themselves, as their process was killed.

    Prefect sees that a process is gone only while its worker lives. Without these such a run would
    run for ever, and keep its place in the queue.

    Args:
      in_file: whether the server's database is a file, and so may lose an event (see above). The
        loss of a start would end a sound run, so that starts are not watched there: `up` looks for
        runs without a process itself.
    """
    silent = _crash(
        "A run that has become silent has crashed",
        f"While a run runs it gives a sign of life each {HEARTBEAT_SEC} s. After {SILENCE_SEC} s "
        "without one its process is gone.",
        after=["heartbeat"],
        expect=["heartbeat", *_ENDS],
        within_sec=SILENCE_SEC,
    )
    unstarted = _crash(
        "A run that does not start has crashed",
        f"A worker took the run and was gone before it began: {START_SEC} s without a sign.",
        after=["Pending"],
        expect=["Running", "heartbeat", *_ENDS],
        within_sec=START_SEC,
    )
    return [silent] if in_file else [silent, unstarted]


def _crash(
    name: str, description: str, *, after: list[str], expect: list[str], within_sec: int
) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "enabled": True,
        "trigger": {
            "type": "event",
            "posture": "Proactive",
            "match": {"prefect.resource.id": f"{_RUN}.*"},
            "for_each": ["prefect.resource.id"],
            "after": [f"{_RUN}.{event}" for event in after],
            "expect": [f"{_RUN}.{event}" for event in expect],
            "threshold": 1,
            "within": within_sec,
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": "CRASHED",
                "message": f"{name}. Run it again: it goes on where it stopped.",
            }
        ],
    }
