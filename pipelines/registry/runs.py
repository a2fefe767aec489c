"""The record of a run, `run.json`: what was trained on what, written last; and how a run is found.

Needs no Keras, so that a list of runs is quick.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Final

from pydantic import Field

from pipelines import storage
from pipelines.errors import ConfigError, DatasetError
from pipelines.records import Count, Name, read_content, read_record, sealed, validated
from pipelines.registry.provenance import Git
from pipelines.text import listed
from pipelines.train.checkpoint import HISTORY_COLUMNS, History
from pipelines.train.experiment import Experiment
from pipelines.validate.verdicts import Validation

FORMAT_VERSION: Final = 4
"""4 adds the seal and the digests of predictions and verdicts."""

RECORD: Final = "run.json"

HISTORY: Final = "history.json"

TRAINING: Final = "training.json"
"""Written last: where it is, all else that training stores is."""

TRAINING_FORMAT: Final = 2

_READABLE: Final = (3, FORMAT_VERSION)

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
        versions=(TRAINING_FORMAT,),
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


def find_run(root: str, run: str) -> str:
    """The folder of a complete run.

    Args:
      root: the location that holds `runs/`.
      run: a run_id, the beginning of one that no other run shares, or a URI of folder or run.json.

    Raises:
      ConfigError: no run is meant, or several are.
    """
    if "/" in run:
        uri = storage.absolute(run.removesuffix(f"/{RECORD}"))
        if not storage.exists(storage.join(uri, RECORD)):
            raise ConfigError(f"there is no {RECORD} in {uri}; check the URI, or finish the run")
        return uri
    if not re.fullmatch("[0-9a-f]+", run):
        raise ConfigError(f"expected a run_id of digits and a to f, or a URI, got {run!r}")
    runs = storage.join(storage.absolute(root), "runs")
    begun = [name for name in storage.list_folders(runs) if name.startswith(run)]
    ids = [name for name in begun if storage.exists(storage.join(runs, name, RECORD))]
    if run in ids:
        ids = [run]
    if len(ids) != 1:
        which = f"several runs begin with {run!r}: {listed(ids)}" if ids else f"no run {run!r}"
        raise ConfigError(f"{which} in {runs}; name one by its run_id")
    return storage.join(runs, ids[0])
