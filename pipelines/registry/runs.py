"""The record of a run, `run.json`: what was trained on what, written last; and how a run is found.

Needs no Keras, so that a list of runs is quick.
"""

import logging
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from pipelines import storage
from pipelines.decisions import Decision
from pipelines.errors import DatasetError
from pipelines.experiment import Experiment
from pipelines.layout import DECISIONS, HISTORY, RECORD, TRAINING
from pipelines.records import (
    Count,
    Name,
    now,
    read_content,
    read_record,
    sealed,
    to_json,
    validated,
)
from pipelines.validate.verdicts import Validation

_PROJECT: Final = Path(__file__).parents[2]
_SOURCES: Final = ("flows", "tasks", "pipelines", "infra", "pyproject.toml")


@dataclass(frozen=True)
class Git:
    """The state of the checkout that the code comes from.

    Attributes:
      dirty: whether sources were changed since that commit, or are not part of it.
    """

    commit: str
    dirty: bool


def git_state(project: Path = _PROJECT) -> Git | None:
    """The commit of a checkout of this project; None where it is installed, or there is no git."""
    # An installed copy may lie in the folder of another project, whose commit says nothing.
    if _git(project, "ls-files", "--error-unmatch", "pipelines/registry/runs.py") is None:
        return None
    commit = _git(project, "rev-parse", "HEAD")
    changed = _git(project, "status", "--porcelain", "--", *_SOURCES)
    return None if commit is None else Git(commit, bool(changed))


def versions(backend: str) -> Mapping[str, str]:
    """The versions of Python and of the packages that a model's weights depend on."""
    packages = ("nsynth-flows", "keras", backend, "numpy", "scikit-learn", "pyarrow")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _git(project: Path, *command: str) -> str | None:
    """What git answers, None where it does not."""
    tool = shutil.which("git")
    if tool is None:
        return None
    asked = subprocess.run(  # noqa: S603 # fixed commands
        [tool, "-C", str(project), *command], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() if asked.returncode == 0 else None


# 4 adds the seal and the digests of predictions and verdicts, 5 the notes of the run.
FORMAT_VERSION: Final = 5

# 3 adds the digest of the notes.
TRAINING_FORMAT: Final = 3

History = dict[str, list[float]]
"""One value an epoch in each of `HISTORY_COLUMNS`; `epoch` counts from 1."""

HISTORY_COLUMNS: Final = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")

_READABLE: Final = (3, 4, FORMAT_VERSION)

# Epochs are whole numbers, and stay so.
_NUMBERS: Final[type[History]] = dict[str, list[int | float]]


@dataclass(frozen=True)
class TrainingRecord:
    """How a stored model came about; training.json, the last file that its training writes.

    Attributes:
      model_sha256: of model.keras.
      weights_digest: of the weights in it; on one kind of CPU the same at each training.
      stored_epoch: whose weights are stored.
      best_epoch: the first of the lowest validation loss.
      batch_size: notes of each step but an epoch's last; what ran.
      num_steps: of an epoch, counted.
      num_train: notes that trained.
      num_validation: notes that were held back to validate with.
      resumed_after: the epoch behind which the last process went on; 0 where it did all of them.
      device: of the last process, as are `versions` and `git`.
      git: None where the code is not a checkout.
      seconds: by step: `data` and `storing` in the last process, `training` in all epochs.
      notes_digest: digest of the notes of the run; None in a record of format 2.
    """

    model_sha256: Name
    weights_digest: str
    seed: Count
    epochs: Count
    stored_epoch: Count
    best_epoch: Count
    batch_size: Count
    num_steps: Count
    num_train: Count
    num_validation: Count
    resumed_after: Count
    device: str
    versions: Mapping[str, str]
    git: Git | None
    seconds: Mapping[str, float]
    notes_digest: str | None = None

    def __post_init__(self) -> None:
        if "training" not in self.seconds:
            raise DatasetError("the seconds of the training are missing")


@dataclass(frozen=True)
class ModelRecord:
    """What a model is.

    Attributes:
      layers: type, output shape without batch, and parameters of each.
      trainings: one, or one a fold in their order.
      predictions_digest: of the table of its predictions; None in a record of format 3.
    """

    num_parameters: Count
    layers: tuple[tuple[str, tuple[Count, ...], Count], ...]
    trainings: Annotated[tuple[TrainingRecord, ...], Field(min_length=1)]
    predictions_digest: str | None = None

    @property
    def training_seconds(self) -> float:
        """Time in the epochs of all trainings."""
        return sum(training.seconds["training"] for training in self.trainings)


@dataclass(frozen=True)
class RunRecord:
    """A complete run.

    Attributes:
      families: the class names in label order.
      datasets: the verdicts on `train`, `valid` if there is one, and `test`; notes leaked to a
        later one count as dropped. In the protocol `grouped` test is train.
      device: that trained; several, separated by commas, where the models' differ.
      versions: of the process that closed the run, as is `git`; each model has those of its own.
      created: when it was complete, in ISO 8601.
      seconds: time in training, of all models together.
      notes_digest: digest of notes.parquet; None in a record of format 4 or earlier.
    """

    run_id: Name
    training_version: Count
    experiment: Experiment
    backend: str
    device: str
    versions: Mapping[str, str]
    git: Git | None
    families: tuple[str, ...]
    datasets: Mapping[Name, Validation]
    models: Annotated[Mapping[Name, ModelRecord], Field(min_length=1)]
    created: str
    seconds: float
    notes_digest: str | None = None

    @property
    def trainings(self) -> Sequence[TrainingRecord]:
        """Those of one of the models; all models train on the same notes."""
        return next(iter(self.models.values())).trainings

    def to_json(self) -> str:
        """Return the text of run.json."""
        fields = asdict(self) | {"experiment": self.experiment.to_dict()}
        content = {"seed": self.experiment.seed, **fields}
        return sealed(content, format_version=FORMAT_VERSION).decode()


def store_run(record: RunRecord, uri: str) -> None:
    """Writes the record of the run in the folder `uri`."""
    storage.put(storage.join(uri, RECORD), record.to_json().encode())


def load_run(uri: str) -> RunRecord:
    """Reads the record of the run in the folder `uri`.

    Raises:
      ConfigError: there is no run.
      DatasetError: the record is of a format that this version does not read, or damaged.
    """
    return read_record(
        storage.join(uri, RECORD),
        RunRecord,
        what="the record of a run",
        mend="run the same training again, which writes it and retrains nothing",
        versions=_READABLE,
    )


def load_training(uri: str) -> TrainingRecord:
    """Read the record of the training in the folder `uri`.

    Raises:
      ConfigError: there is none.
      FormatError: it is of a format that this version does not read.
      DatasetError: it is damaged.
    """
    return read_record(
        storage.join(uri, TRAINING),
        TrainingRecord,
        what="the record of a training",
        mend="run the same training again, which trains the model again",
        versions=(2, TRAINING_FORMAT),
    )


def load_history(uri: str, *, columns: Sequence[str] = HISTORY_COLUMNS) -> History:
    """Read how a model trained, from the history.json in its folder.

    Args:
      columns: that it has to hold, with as many values in each.

    Raises:
      ConfigError: there is none.
      DatasetError: it is damaged.
    """
    place, what = storage.join(uri, HISTORY), "the history of a training"
    mend = "train the model again: nsynth retrain --force train"
    content = read_content(place, what=what, mend=mend, versions=None)
    history = validated(content, _NUMBERS, uri=place, what=what, mend=mend)
    lengths = {len(history.get(column, ())) for column in columns}
    if len(lengths) != 1 or 0 in lengths:
        raise DatasetError(
            f"{place} is not {what}: expected as many values in each of {', '.join(columns)}; "
            f"{mend}"
        )
    return history


DECISIONS_FORMAT: Final = 1

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


def append_decisions(run_uri: str, decisions: Sequence[Decision]) -> bool:
    """Adds a flow run to those of a run; says whether it did something and is not there yet."""
    known = load_decisions(run_uri)
    is_there = bool(known) and list(known[-1].decisions) == list(decisions)
    if is_there or all(decision.action == "reused" for decision in decisions):
        return False
    found = [*known, FlowRun(now(), tuple(decisions))][-MAX_ENTRIES:]
    content = {
        "format_version": DECISIONS_FORMAT,
        "flow_runs": [asdict(flow_run) for flow_run in found],
    }
    storage.put(storage.join(run_uri, DECISIONS), to_json(content))
    return True


def load_decisions(run_uri: str) -> Sequence[FlowRun]:
    """Return the flow runs of a run, oldest first; none where this version reads nothing of it."""
    if not storage.exists(storage.join(run_uri, DECISIONS)):
        return ()
    try:
        return read_decisions(run_uri)
    except DatasetError as err:
        # It says what happened and decides nothing, so that no run needs it.
        log.warning("%s", err)
        return ()


def read_decisions(run_uri: str) -> Sequence[FlowRun]:
    """Read decisions.json.

    Raises:
      ConfigError: there is none.
      DatasetError: it is damaged, or of a format that this version does not read.
    """
    return read_record(
        storage.join(run_uri, DECISIONS),
        _Log,
        what="a log of decisions",
        mend="its decisions are not shown",
        versions=(DECISIONS_FORMAT,),
    ).flow_runs
