"""The retry policy: input, output and infrastructure, never an error of the data or the user."""

import logging
from typing import Any, Final, TypedDict

from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from pipelines.errors import PipelineError
from pipelines.text import guard_log

log = logging.getLogger(__name__)

# Prefect's handlers print log lines of the work and of our errors.
guard_log()
# The log of the work, above all what was reused, belongs on the page of its run.
logging.getLogger("pipelines").setLevel(logging.INFO)


def may_retry(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Return whether another attempt may succeed; our own errors are final."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, PipelineError):
        return False
    log.warning("%s failed and may be tried again: %s", task_run.name, error)
    return True


class _Policy(TypedDict):
    retries: int
    retry_delay_seconds: Any
    retry_jitter_factor: float
    retry_condition_fn: Any
    cache_policy: CachePolicy
    persist_result: bool


# For every task: each may run twice, and continues where the previous attempt stopped.
POLICY: Final[_Policy] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_retry,
    # Results are found in our own storage, by what went into them.
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
