"""Experiments: one choice of everything that training leaves open. Never imports Keras."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from pipelines.architecture import (
    BUILT_IN,
    OPTIMISED,
    REFERENCES,
    Activation,
    Architecture,
    load_architecture,
    names_a_file,
    parse_changes,
)
from pipelines.errors import ConfigError
from pipelines.parameters import (
    DEFAULT_MODELS,
    DenseActivation,
    Protocol,
    RetrainRequest,
    TrainingRequest,
)
from pipelines.text import listed

# Why a protocol takes no test data.
_WITHOUT_DATA: Final = {
    "grouped": "scores each training note out of fold",
    "validation": "scores the notes that validate",
}


@dataclass(frozen=True)
class Experiment:
    """One choice of everything that training leaves open; the same choice finds the same run.

    The reference report states the layers, the epochs and the validation fraction. The rest is this
    project's choice, made once: Keras's own defaults for `batch_size`, `learning_rate` (of Adam)
    and `negative_slope` (of the activation), and the customary half for `dropout`.

    Four fields are also parts of an architecture: a given value changes it in all models that have
    such a part. Not given, they are what the models agree in, and None where these differ.

    Attributes:
      models: names of the architectures to train.
      architectures: those of `models` that are not built in.
      epochs: passes over the training notes.
      batch_size: notes per step; a run either uses this number or fails.
      validation_fraction: part of the kept notes that validates and never trains, in (0, 1).
      learning_rate: step size of the optimiser.
      dropout: part of the activations dropped before the dense layers, in [0, 1).
      negative_slope: of every LeakyReLU, in [0, 1].
      dense_activation: of the dense layers before the last, such as the optimised model's.
      seed: of initial weights, split, order and dropout.
      protocol: one of `Protocol`.
      train_fraction: part of the notes to train on that does train, in (0, 1]; for learning curves.
    """

    models: tuple[str, ...] = DEFAULT_MODELS
    epochs: int = 10
    batch_size: int = 32
    validation_fraction: float = 0.33
    learning_rate: float | None = None
    dropout: float | None = None
    negative_slope: float | None = None
    dense_activation: str | None = None
    seed: int = 0
    protocol: str = "reference"
    train_fraction: float = 1.0
    architectures: tuple[Architecture, ...] = ()

    def __post_init__(self) -> None:
        # A list, as JSON and forms give it, would neither hash nor compare as a tuple does.
        object.__setattr__(self, "models", tuple(self.models))
        object.__setattr__(self, "architectures", tuple(self.architectures))
        _check_models(self.models, self.architectures)
        for name, value in self._agreed().items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        _check_whole("epochs", self.epochs, least=1)
        _check_whole("batch_size", self.batch_size, least=1)
        # NumPy's seeds end there.
        _check_whole("seed", self.seed, least=0, most=2**32 - 1)
        fraction, rate = self.validation_fraction, self.learning_rate
        _check("validation_fraction", fraction, 0 < fraction < 1, "between 0 and 1")
        if rate is not None:
            _check("learning_rate", rate, 0 < rate < math.inf, "above 0")
        if (drop := self.dropout) is not None:
            _check("dropout", drop, 0 <= drop < 1, "at least 0 and below 1")
        if (slope := self.negative_slope) is not None:
            _check("negative_slope", slope, 0 <= slope <= 1, "from 0 to 1")
        if self.dense_activation not in (None, *DenseActivation):
            raise ConfigError(
                f"dense_activation must be one of {', '.join(DenseActivation)}, "
                f"got {self.dense_activation!r}"
            )
        _check_protocol(self.protocol)
        _check("train_fraction", self.train_fraction, 0 < self.train_fraction <= 1, "above 0 to 1")

    @property
    def keeps_best_epoch(self) -> bool:
        """Return whether the epoch of lowest validation loss is kept, not the last one."""
        return self.protocol in ("official", "grouped")

    @property
    def takes_test_data(self) -> bool:
        """Return whether a data set of its own is scored, not the training data set."""
        return self.protocol in ("reference", "official")

    def architecture(self, model: str) -> Architecture:
        """Return the architecture of one of the models, with the values that are given here."""
        base = self._base(model)
        changes: dict[str, Any] = {"head": {}}
        if self.learning_rate is not None:
            changes["fitting"] = {"learning_rate": self.learning_rate}
        if self.negative_slope is not None:
            changes["negative_slope"] = self.negative_slope
        if self.dropout is not None and base.head.dropout is not None:
            changes["head"]["dropout"] = self.dropout
        if self.dense_activation is not None and base.head.dense:
            changes["head"]["dense_activation"] = self.dense_activation
        return base.change(**changes)

    def with_architecture(self, architecture: Architecture) -> "Experiment":
        """Return this experiment for one architecture alone, with that one's own values."""
        return replace(
            self,
            models=(architecture.name,),
            architectures=() if architecture in BUILT_IN.values() else (architecture,),
            learning_rate=None,
            dropout=None,
            negative_slope=None,
            dense_activation=None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON holds them; `architectures` only where there are some."""
        fields = asdict(self) | {"models": list(self.models)}
        fields["architectures"] = [one.model_dump(mode="json") for one in self.architectures]
        return {name: value for name, value in fields.items() if name != "architectures" or value}

    def identity(self) -> dict[str, Any]:
        """Return what distinguishes a run by its experiment.

        Each architecture is its digest, but for the two references, which are their names.
        """
        digests = {
            model: self.architecture(model).digest
            for model in self.models
            if self._base(model) not in REFERENCES
        }
        fields = self.to_dict()
        fields.pop("architectures", None)
        return fields | ({"architectures": digests} if digests else {})

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Experiment":
        """Return the experiment that `to_dict` gave."""
        given = fields.get("architectures", ())
        own = tuple(Architecture.model_validate(one) for one in given)
        return cls(**{**fields, "architectures": own})

    def _base(self, model: str) -> Architecture:
        own = {one.name: one for one in self.architectures}
        return own[model] if model in own else BUILT_IN[model]

    def _agreed(self) -> dict[str, Any]:
        """Return the value of each part that is the same in all models that have the part."""
        return {
            name: values.pop() if len(values) == 1 else None
            for name, values in _parts([self._base(model) for model in self.models]).items()
        }


def _parts(architectures: Sequence[Architecture]) -> dict[str, set[Any]]:
    """Return the values of the parts; those of the optimised model where no model has the part."""
    heads = [one.head for one in architectures]
    values: dict[str, set[Any]] = {
        "learning_rate": {one.fitting.learning_rate for one in architectures},
        "dropout": {head.dropout for head in heads if head.dropout is not None},
        "negative_slope": {one.negative_slope for one in architectures if _has_slope(one)},
        "dense_activation": {str(head.dense_activation) for head in heads if head.dense},
    }
    if all(values.values()):
        return values
    default = _parts([OPTIMISED])
    return {name: values[name] or default[name] for name in values}


def _has_slope(architecture: Architecture) -> bool:
    return any(block.activation is Activation.leaky_relu for block in architecture.blocks)


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
    names = set(TrainingRequest.model_fields) - {"seeds", "models", "changes"}
    fields = request.model_dump(mode="json", include=names)
    own = {model: load_architecture(model) for model in request.models if names_a_file(model)}
    fields["models"] = tuple(
        own[model].name if model in own else str(model) for model in request.models
    )
    if changes := parse_changes(request.changes):
        _check_models(fields["models"], tuple(own.values()))
        values = [own[model] if model in own else BUILT_IN[model] for model in request.models]
        fields["architectures"] = tuple(value.change(**changes) for value in values)
    else:
        values = [one for one in own.values() if BUILT_IN.get(one.name) != one]
        fields["architectures"] = tuple(values)
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
    wanted = {
        "reference": (False, True),
        "official": (True, True),
        "grouped": (False, False),
        "validation": (False, False),
    }
    for name, is_given, is_wanted in zip(
        ("valid", "test"), (valid, test), wanted[protocol], strict=True
    ):
        if is_given and not is_wanted:
            why = _WITHOUT_DATA.get(protocol, "splits them")
            raise ConfigError(
                f"the protocol {protocol} takes no {name} data: it {why}; leave {name} out, or "
                "choose another protocol"
            )
        if is_wanted and not is_given:
            raise ConfigError(f"the protocol {protocol} needs {name} data; name them as {name}")


def _check_protocol(protocol: str) -> None:
    if protocol not in list(Protocol):
        raise ConfigError(f"protocol must be one of {', '.join(Protocol)}, got {protocol!r}")


def _check_models(models: tuple[str, ...], own: tuple[Architecture, ...]) -> None:
    known = [*BUILT_IN, *(one.name for one in own)]
    for name in models:
        if name not in known:
            raise ConfigError(f"models must be among {', '.join(known)}, got {name!r}")
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
