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
from pipelines.errors import DatasetError, FormatError
from pipelines.records import read_record, to_json
from pipelines.registry.champions import now

LOG: Final = "decisions.json"

FORMAT_VERSION: Final = 1

_READABLE: Final = (FORMAT_VERSION,)

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
    """The flow runs of a run, oldest first; none where nothing is kept that this version reads."""
    uri = storage.join(run_uri, LOG)
    if not storage.exists(uri):
        return ()
    # It says what happened and decides nothing, so that no run needs it.
    mend = "its decisions are not shown"
    try:
        found = read_record(uri, _Log, what="a log of decisions", mend=mend, versions=_READABLE)
    except FormatError:
        log.warning("%s is of another version; %s", uri, mend)
        return ()
    except DatasetError as err:
        log.warning("%s", err)
        return ()
    return found.flow_runs
