"""Progress as an artifact of the running task, beside the bars of a terminal."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from pipelines.progress import OnProgress, Progress
from pipelines.terminal import bars
from pipelines.text import markdown

log = logging.getLogger(__name__)


@contextmanager
def show_progress(name: str) -> Iterator[OnProgress]:
    """Show progress until the block ends.

    Args:
      name: of the work; the artifact's key is derived from it.

    Yields:
      A function to call with each progress, from any thread.
    """
    artifact = _ProgressArtifact(artifact_key(name))
    with bars() as draw:

        def show(step: Progress) -> None:
            draw(step)
            artifact.show(step)

        yield show


def artifact_key(name: str) -> str:
    """Return a name as a key of Prefect: lowercase letters, digits and dashes."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")


class _ProgressArtifact:
    """One artifact, created at the first progress and updated by each later one."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._id: UUID | None = None
        self._text = ""
        # The work reports from threads of its own, which have no task run in their context.
        self._context = copy_context()

    def show(self, step: Progress) -> None:
        text = f"{step.stage}: {step.done:,} of {step.total:,} {step.detail}".strip()
        text = markdown(text)
        if text == self._text:
            return
        percent = 100 * step.done / max(step.total, 1)
        try:
            if self._id is None:
                created = self._context.run(
                    create_progress_artifact, percent, key=self._key, description=text
                )
                self._id = cast("UUID", created)  # a coroutine only where an event loop runs
            else:
                update_progress_artifact(self._id, percent, description=text)
        except (httpx.HTTPError, OSError) as err:
            # A task does not fail because its progress cannot be shown.
            log.warning("progress is not shown: %s", err)
            return
        self._text = text
