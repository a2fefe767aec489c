"""What the flow runs that came to a run decided, kept with it as `decisions.json`.

Only flow runs that did something are kept: one that found all its work done leaves no trace, so
that a report which shows them need not be written again.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from pipelines import storage
from pipelines.decisions import Decision
from pipelines.errors import DatasetError
from pipelines.records import read_record, to_json
from pipelines.registry.champions import now

LOG: Final = "decisions.json"

FORMAT_VERSION: Final = 1

MAX_ENTRIES: Final = 20
"""Flow runs that are kept; older ones go."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FlowRun:
    """One flow run.

    Attributes:
      when: it had decided, in ISO 8601.
      decisions: in their order.
    """

    when: str
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class _Log:
    flow_runs: tuple[FlowRun, ...]


def log_decisions(run_uri: str, decisions: Sequence[Decision]) -> bool:
    """Adds a flow run to those of a run; says whether it did something and is not there yet."""
    known = load_log(run_uri)
    is_there = bool(known) and list(known[-1].decisions) == list(decisions)
    if is_there or all(decision.action == "reused" for decision in decisions):
        return False
    found = [*known, FlowRun(now(), tuple(decisions))][-MAX_ENTRIES:]
    content = {
        "format_version": FORMAT_VERSION,
        "flow_runs": [asdict(flow_run) for flow_run in found],
    }
    storage.put(storage.join(run_uri, LOG), to_json(content))
    return True


def load_log(run_uri: str) -> Sequence[FlowRun]:
    """Return the flow runs of a run, oldest first; none where this version reads nothing of it."""
    if not storage.exists(storage.join(run_uri, LOG)):
        return ()
    try:
        return read_log(run_uri)
    except DatasetError as err:
        # It says what happened and decides nothing, so that no run needs it.
        log.warning("%s", err)
        return ()


def read_log(run_uri: str) -> Sequence[FlowRun]:
    """Read decisions.json.

    Raises:
      ConfigError: there is none.
      DatasetError: it is damaged, or of a format that this version does not read.
    """
    return read_record(
        storage.join(run_uri, LOG),
        _Log,
        what="a log of decisions",
        mend="its decisions are not shown",
        versions=(FORMAT_VERSION,),
    ).flow_runs
