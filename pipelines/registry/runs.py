"""The record of a run, `run.json`: what was trained on what, written last; and how a run is found.

Needs no Keras, so that a list of runs is quick.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pipelines import storage
from pipelines.errors import ConfigError, DatasetError
from pipelines.registry.provenance import Git
from pipelines.train.experiment import Experiment
from pipelines.validate.verdicts import Validation

FORMAT_VERSION: Final = 3

RECORD: Final = "run.json"


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

    model_sha256: str
    weights_digest: str
    seed: int
    epochs: int
    stored_epoch: int
    best_epoch: int
    batch_size: int
    num_steps: int
    num_train: int
    num_validation: int
    resumed_after: int
    device: str
    versions: Mapping[str, str]
    git: Git | None
    seconds: Mapping[str, float]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "TrainingRecord":
        """The record of `dataclasses.asdict`, which may hold more."""
        fields = {key: content[key] for key in cls.__dataclass_fields__}
        return cls(**fields | {"git": Git(**fields["git"]) if fields["git"] else None})


@dataclass(frozen=True)
class ModelRecord:
    """What a model is.

    Attributes:
      layers: type, output shape without batch, and parameters of each.
      trainings: one, or one a fold in their order.
    """

    num_parameters: int
    layers: Sequence[Sequence[Any]]
    trainings: Sequence[TrainingRecord]

    @property
    def training_seconds(self) -> float:
        """Time in the epochs of all trainings."""
        return sum(training.seconds["training"] for training in self.trainings)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "ModelRecord":
        """The record of `dataclasses.asdict`."""
        trainings = tuple(TrainingRecord.from_dict(found) for found in content["trainings"])
        return cls(**{**content, "trainings": trainings})


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

    run_id: str
    training_version: int
    experiment: Experiment
    backend: str
    device: str
    versions: Mapping[str, str]
    git: Git | None
    families: Sequence[str]
    datasets: Mapping[str, Validation]
    models: Mapping[str, ModelRecord]
    created: str
    seconds: float

    @property
    def trainings(self) -> Sequence[TrainingRecord]:
        """Those of one of the models; all models train on the same notes."""
        return next(iter(self.models.values())).trainings

    def to_json(self) -> str:
        """The text of run.json."""
        fields = asdict(self) | {"experiment": self.experiment.to_dict()}
        head = {"format_version": FORMAT_VERSION, "seed": self.experiment.seed}
        return json.dumps(head | fields, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "RunRecord":
        """The record in the content of a run.json."""
        fields = {key: content[key] for key in cls.__dataclass_fields__}
        return cls(
            **fields
            | {
                "experiment": Experiment.from_dict(content["experiment"]),
                "families": tuple(content["families"]),
                "datasets": {k: Validation(**v) for k, v in content["datasets"].items()},
                "git": Git(**content["git"]) if content["git"] else None,
                "models": {k: ModelRecord.from_dict(v) for k, v in content["models"].items()},
            }
        )


def store_run(record: RunRecord, uri: str) -> None:
    """Writes the record of the run in the folder `uri`."""
    storage.put(storage.join(uri, RECORD), record.to_json().encode())


def load_run(uri: str) -> RunRecord:
    """Reads the record of the run in the folder `uri`.

    Raises:
      ConfigError: there is no run.
      DatasetError: the record is of a format that this version does not read, or damaged.
    """
    place = storage.join(uri, RECORD)
    try:
        content = json.loads(storage.read(place))
        found = content["format_version"]
    except (ValueError, KeyError, TypeError) as err:
        raise DatasetError(f"{place} is no record of a run: {err}") from err
    if found != FORMAT_VERSION:
        raise DatasetError(
            f"expected format_version {FORMAT_VERSION} in {place}, found {found!r}; "
            "use the version of this project that wrote it"
        )
    try:
        return RunRecord.from_dict(content)
    except (KeyError, TypeError, AttributeError) as err:
        raise DatasetError(f"{place} is no record of a run: {err!r}") from err


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
        which = f"several runs begin with {run!r}: {', '.join(ids)}" if ids else f"no run {run!r}"
        raise ConfigError(f"{which} in {runs}; name one by its run_id")
    return storage.join(runs, ids[0])
