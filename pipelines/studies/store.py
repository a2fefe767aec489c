"""Studies that are stored under a root."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines import storage
from pipelines.errors import PipelineError
from pipelines.evaluate.bootstrap import Interval
from pipelines.layout import STUDIES_FOLDER, STUDY
from pipelines.studies.results import StudyRecord, TrialResult, load_study

log = logging.getLogger(__name__)


def load_studies(root: str) -> Iterator[tuple[str, StudyRecord]]:
    """Yield the folder and the record of each study; one that cannot be read is logged."""
    folder = storage.join(storage.absolute(root), STUDIES_FOLDER)
    for name in sorted(storage.list_folders(folder)):
        uri = storage.join(folder, name)
        if not storage.exists(storage.join(uri, STUDY)):
            continue
        try:
            record = load_study(uri)
        except PipelineError as err:
            log.warning("%s", err)
        else:
            if record.trials:
                yield uri, record


@dataclass(frozen=True)
class Pair:
    """A trial that tests a finding, and the trial that it changes."""

    study_uri: str
    study: StudyRecord
    base: TrialResult
    trial: TrialResult

    @property
    def gain(self) -> tuple[float, Interval | None]:
        """Return what the part gains that the finding is about, and its interval."""
        gain, ends = self.trial.gain or 0.0, self.trial.gain_interval
        if not self.trial.removes:
            return gain, ends
        return -gain, (-ends[1], -ends[0]) if ends else None

    @property
    def without_and_with(self) -> tuple[TrialResult, TrialResult]:
        """Return the two trials in the order: without the part, with it."""
        return (self.trial, self.base) if self.trial.removes else (self.base, self.trial)


def studies_of(root: str, manifest_digest: str) -> list[tuple[str, StudyRecord]]:
    """Return the studies on some training data with their folders, newest first."""
    studies = [
        (uri, record)
        for uri, record in load_studies(root)
        if manifest_digest in record.train.values()
    ]
    return sorted(studies, key=lambda one: one[1].created, reverse=True)


def pairs(studies: Sequence[tuple[str, StudyRecord]], finding: str) -> list[Pair]:
    """Return the trials of the first study that tests a finding."""
    for uri, record in studies:
        by_name = {trial.name: trial for trial in record.trials}
        own = [
            Pair(uri, record, by_name[trial.base], trial)
            for trial in record.trials
            if trial.finding == finding and trial.base in by_name and trial.gain is not None
        ]
        if own:
            return own
    return []
