"""Studies that are stored under a root."""

import logging
from collections.abc import Iterator

from pipelines import storage
from pipelines.errors import PipelineError
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


def find_trials(root: str, finding: str, *, manifest_digest: str) -> list[tuple[str, TrialResult]]:
    """Return the trials that test a finding on the same training data, with their studies' folders.

    Args:
      manifest_digest: of the training data.
    """
    return [
        (uri, trial)
        for uri, record in load_studies(root)
        if manifest_digest in record.train.values()
        for trial in record.trials
        if trial.finding == finding and trial.gain is not None
    ]
