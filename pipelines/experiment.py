"""Experiments: one choice of everything that training leaves open. Never imports Keras."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.errors import ConfigError
from pipelines.parameters import (
    DenseActivation,
    ModelName,
    Protocol,
    RetrainRequest,
    TrainingRequest,
)
from pipelines.text import listed


@dataclass(frozen=True)
class Experiment:
    """One choice of everything that training leaves open; the same choice finds the same run.

    The reference report states the layers, the epochs and the validation fraction. The rest is this
    project's choice, made once: Keras's own defaults for `batch_size`, `learning_rate` (of Adam)
    and `negative_slope` (of the activation), and the customary half for `dropout`.

    Attributes:
      models: which architectures to train.
      epochs: passes over the training notes.
      batch_size: notes per step; a run either uses this number or fails.
      validation_fraction: part of the kept notes that validates and never trains, in (0, 1).
      learning_rate: step size of Adam.
      dropout: part of the activations dropped before the dense layers, in [0, 1).
      negative_slope: of the LeakyReLU in the optimised model's convolutions, in [0, 1].
      dense_activation: of the optimised model's Dense 24; the convolutions' own by default.
      seed: of initial weights, split, order and dropout.
      protocol: one of `Protocol`.
      train_fraction: part of the notes to train on that does train, in (0, 1]; for learning curves.
    """

    models: tuple[str, ...] = tuple(map(str, ModelName))
    epochs: int = 10
    batch_size: int = 32
    validation_fraction: float = 0.33
    learning_rate: float = 1e-3
    dropout: float = 0.5
    negative_slope: float = 0.2
    dense_activation: str = "leaky_relu"
    seed: int = 0
    protocol: str = "reference"
    train_fraction: float = 1.0

    def __post_init__(self) -> None:
        # A list, as JSON and forms give it, would neither hash nor compare as a tuple does.
        object.__setattr__(self, "models", tuple(self.models))
        _check_models(self.models)
        _check_whole("epochs", self.epochs, least=1)
        _check_whole("batch_size", self.batch_size, least=1)
        # NumPy's seeds end there.
        _check_whole("seed", self.seed, least=0, most=2**32 - 1)
        fraction, rate = self.validation_fraction, self.learning_rate
        _check("validation_fraction", fraction, 0 < fraction < 1, "between 0 and 1")
        _check("learning_rate", rate, 0 < rate < math.inf, "above 0")
        _check("dropout", self.dropout, 0 <= self.dropout < 1, "at least 0 and below 1")
        _check("negative_slope", self.negative_slope, 0 <= self.negative_slope <= 1, "from 0 to 1")
        if self.dense_activation not in list(DenseActivation):
            raise ConfigError(
                f"dense_activation must be one of {', '.join(DenseActivation)}, "
                f"got {self.dense_activation!r}"
            )
        _check_protocol(self.protocol)
        _check("train_fraction", self.train_fraction, 0 < self.train_fraction <= 1, "above 0 to 1")

    @property
    def keeps_best_epoch(self) -> bool:
        """Return whether the epoch of lowest validation loss is kept, not the last one."""
        return self.protocol != "reference"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return asdict(self) | {"models": list(self.models)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Experiment":
        """Return the experiment that `to_dict` gave."""
        return cls(**fields)


def experiments_of(request: TrainingRequest) -> list[Experiment]:
    """Return the experiment of each seed of a request.

    Raises:
      ConfigError: a seed is given twice, or see `Experiment` and `check_datasets`.
    """
    if isinstance(request, RetrainRequest):
        check_datasets(
            request.protocol, valid=request.valid is not None, test=request.test is not None
        )
    if len(set(request.seeds)) < len(request.seeds):
        got = listed(map(str, request.seeds))
        raise ConfigError(f"each --seed is a run of its own; got {got}, one of them twice")
    fields = request.model_dump(mode="json", include=set(TrainingRequest.model_fields) - {"seeds"})
    return [Experiment(**fields, seed=seed) for seed in request.seeds]


def check_datasets(protocol: str, *, valid: bool, test: bool) -> None:
    """Check that a protocol has the data sets that it needs and no others.

    Args:
      valid: whether a data set that chooses the epoch is given.
      test: whether a data set that scores the models is given.

    Raises:
      ConfigError: one is missing or superfluous, or there is no such protocol.
    """
    _check_protocol(protocol)
    wanted = {"reference": (False, True), "official": (True, True), "grouped": (False, False)}
    for name, is_given, is_wanted in zip(
        ("valid", "test"), (valid, test), wanted[protocol], strict=True
    ):
        if is_given and not is_wanted:
            why = (
                "scores each training note out of fold" if protocol == "grouped" else "splits them"
            )
            raise ConfigError(
                f"the protocol {protocol} takes no {name} data: it {why}; leave {name} out, or "
                "choose another protocol"
            )
        if is_wanted and not is_given:
            raise ConfigError(f"the protocol {protocol} needs {name} data; name them as {name}")


def _check_protocol(protocol: str) -> None:
    if protocol not in list(Protocol):
        raise ConfigError(f"protocol must be one of {', '.join(Protocol)}, got {protocol!r}")


def _check_models(models: tuple[str, ...]) -> None:
    for name in models:
        if name not in list(ModelName):
            raise ConfigError(f"models must be among {', '.join(ModelName)}, got {name!r}")
    if not models or len(set(models)) < len(models):
        raise ConfigError(f"models must name at least one model and none twice, got {list(models)}")


def _check_whole(name: str, value: int, *, least: int, most: float = math.inf) -> None:
    _check(
        name,
        value,
        isinstance(value, int) and least <= value <= most,
        f"a whole number of at least {least}" + (f" and at most {most}" if most < math.inf else ""),
    )


def _check(name: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{name} must be {expected}, got {value!r}")
