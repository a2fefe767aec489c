"""Retries of tasks: of input, output and infrastructure, never of errors of data or user."""

import logging
from typing import Any, Final, TypedDict

from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from pipelines.errors import PipelineError
from pipelines.text import guard_log

log = logging.getLogger(__name__)

# Handlers of Prefect print lines of the work, and its own of our errors.
guard_log()
# Log lines of the work, above all on reuse, belong on the page of its flow run.
_pipelines_log = logging.getLogger("pipelines")
if _pipelines_log.level == logging.NOTSET:  # the command has set it, to DEBUG with -v
    _pipelines_log.setLevel(logging.INFO)


def may_retry(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Return whether another attempt may succeed: errors of our own are final."""
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


# Each task is written to run twice, and goes on where the attempt before stopped.
POLICY: Final[_Policy] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_retry,
    # Results are found in our own storage, by their inputs.
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
