"""Records of a run: run.json, training.json, history.json and decisions.json.

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
from pipelines.notes import NUM_SAMPLES
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


# 4 adds the seal and the digests of predictions and verdicts, 5 the notes of the run.
FORMAT_VERSION: Final = 5

# 3 adds the digest of the notes.
TRAINING_FORMAT: Final = 3

# One value per epoch in each of `HISTORY_COLUMNS`; `epoch` counts from 1.
History = dict[str, list[float]]

HISTORY_COLUMNS: Final = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")

_READABLE: Final = (3, 4, FORMAT_VERSION)

DECISIONS_FORMAT: Final = 1

# Flow runs that the log of decisions keeps, the newest ones.
MAX_FLOW_RUNS: Final = 20

# Epochs are whole numbers, and stay so.
_NUMBERS: Final[type[History]] = dict[str, list[int | float]]


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Git:
    """State of the checkout that the code comes from.

    Attributes:
      dirty: whether sources differ from that commit.
    """

    commit: str
    dirty: bool


@dataclass(frozen=True)
class TrainingRecord:
    """How a model was trained; training.json, the last file that its training writes.

    Attributes:
      model_sha256: SHA-256 of model.keras.
      weights_digest: digest of its weights; on one kind of CPU the same for each training.
      stored_epoch: epoch of the stored weights.
      best_epoch: first epoch of the lowest validation loss.
      batch_size: notes per step, except the last of an epoch.
      num_steps: steps per epoch.
      num_train: notes that trained.
      num_validation: notes that validated.
      resumed_after: epoch after which the last process went on; 0 if it ran all of them.
      device: device of the last process, as are `versions` and `git`.
      git: None if the code is not a checkout.
      seconds: time by step: `data` and `storing` in the last process, `training` in all epochs.
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
    """A model of a run.

    Attributes:
      layers: type, output shape without batch, and parameters of each.
      trainings: one, or one per fold in their order.
      predictions_digest: digest of its table of predictions; None in a record of format 3.
    """

    num_parameters: Count
    layers: tuple[tuple[str, tuple[Count, ...], Count], ...]
    trainings: Annotated[tuple[TrainingRecord, ...], Field(min_length=1)]
    predictions_digest: str | None = None

    @property
    def training_seconds(self) -> float:
        """Return the seconds in the epochs of all trainings."""
        return sum(training.seconds["training"] for training in self.trainings)


@dataclass(frozen=True)
class RunRecord:
    """A complete run.

    Attributes:
      families: class names in label order.
      datasets: verdicts on `train`, `valid` if there is one, and `test`; notes leaked to a later
        one count as dropped. In the protocol `grouped` test is train.
      device: device of training; several, separated by commas, if those of the models differ.
      versions: of the process that closed the run, as is `git`; each model has its own.
      created: time of completion, in ISO 8601.
      seconds: time in training of all models.
      notes_digest: digest of notes.parquet; None in a record of format 4 or earlier.
      num_samples: samples per note of its data sets; stored only where it is not the default, so
        that the records of other runs stay as they are.
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
    num_samples: Count = NUM_SAMPLES

    @property
    def trainings(self) -> Sequence[TrainingRecord]:
        """Return those of the first model; all models train on the same notes."""
        return next(iter(self.models.values())).trainings

    def to_json(self) -> str:
        """Return the text of run.json."""
        fields = asdict(self) | {"experiment": self.experiment.to_dict()}
        if self.num_samples == NUM_SAMPLES:
            del fields["num_samples"]
        content = {"seed": self.experiment.seed, **fields}
        return sealed(content, format_version=FORMAT_VERSION).decode()


def store_run(record: RunRecord, uri: str) -> None:
    """Write the record of the run in the folder `uri`."""
    storage.put(storage.join(uri, RECORD), record.to_json().encode())


def load_run(uri: str) -> RunRecord:
    """Read the record of the run in the folder `uri`.

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
    """Read the history of a training from history.json in its folder.

    Args:
      columns: columns that it must have, with the same number of values.

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


@dataclass(frozen=True)
class FlowRun:
    """Decisions of one flow run.

    Attributes:
      when: time of the last decision, in ISO 8601.
      decisions: in their order.
    """

    when: str
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class _Log:
    flow_runs: tuple[FlowRun, ...]


def append_decisions(run_uri: str, decisions: Sequence[Decision]) -> bool:
    """Append the decisions of a flow run to a run's log; return whether they were new.

    A flow run that found all its work done is not recorded, so that a report which shows the log
    need not be written again.
    """
    known = load_decisions(run_uri)
    is_there = bool(known) and list(known[-1].decisions) == list(decisions)
    if is_there or all(decision.action == "reused" for decision in decisions):
        return False
    found = [*known, FlowRun(now(), tuple(decisions))][-MAX_FLOW_RUNS:]
    content = {
        "format_version": DECISIONS_FORMAT,
        "flow_runs": [asdict(flow_run) for flow_run in found],
    }
    storage.put(storage.join(run_uri, DECISIONS), to_json(content))
    return True


def load_decisions(run_uri: str) -> Sequence[FlowRun]:
    """Return the flow runs of a run, oldest first; none if the log cannot be read."""
    if not storage.exists(storage.join(run_uri, DECISIONS)):
        return ()
    try:
        return read_decisions(run_uri)
    except DatasetError as err:
        # The log is only for reading: nothing depends on it.
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


def git_state(project: Path = _PROJECT) -> Git | None:
    """Return the commit of a checkout of this project; None if it is installed, or without git."""
    # An installed copy may be in the folder of another project, whose commit says nothing.
    if _git(project, "ls-files", "--error-unmatch", "pipelines/registry/runs.py") is None:
        return None
    commit = _git(project, "rev-parse", "HEAD")
    changed = _git(project, "status", "--porcelain", "--", *_SOURCES)
    return None if commit is None else Git(commit, bool(changed))


def versions(backend: str) -> Mapping[str, str]:
    """Return the versions of Python and of the packages that a model's weights depend on."""
    packages = ("nsynth-flows", "keras", backend, "numpy", "scikit-learn", "pyarrow")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _git(project: Path, *command: str) -> str | None:
    """Return the output of git, None if it fails."""
    tool = shutil.which("git")
    if tool is None:
        return None
    result = subprocess.run(  # noqa: S603 # fixed commands
        [tool, "-C", str(project), *command], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() if result.returncode == 0 else None
