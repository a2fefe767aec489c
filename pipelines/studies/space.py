"""The space of a search: the fields that vary, their ranges, and the trial of each choice.

A field is named by its place in the architecture, such as `head.dropout`. `blocks.kernel_size` is
that of every block; `filters_scale` multiplies the filters of all blocks, `num_blocks` drops the
last ones or repeats the last; `experiment.batch_size` and `experiment.epochs` are the experiment's.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from types import MappingProxyType
from typing import Annotated, Any, Final, Self

from annotated_types import Len
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from pipelines import storage
from pipelines.architecture import (
    BUILT_IN,
    SPECTRAL,
    SPECTRAL_FULL,
    Architecture,
    load_architecture,
    names_a_file,
)
from pipelines.errors import ConfigError
from pipelines.experiment import Experiment
from pipelines.notes import NUM_SAMPLES
from pipelines.records import digest
from pipelines.studies.study import Trial, check_protocol

SEARCH: Final = "search"

_FILTERS_SCALE: Final = "filters_scale"
_NUM_BLOCKS: Final = "num_blocks"
_BLOCKS: Final = "blocks"
_EXPERIMENT: Final = "experiment"
_EXPERIMENT_FIELDS: Final = ("batch_size", "epochs")

Value = bool | int | float | str
Values = Mapping[str, Value]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Range(BaseModel):
    """Numbers from `low` to `high`, both included; whole ones where both are.

    Attributes:
      log: whether each factor is as likely as the other, as for learning rates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | Number
    high: int | Number
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 with log, got {self.low}")
        return self

    @property
    def is_whole(self) -> bool:
        """Return whether the numbers are whole ones."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[Value, ...]:
        """Return both ends."""
        return self.low, self.high

    def __contains__(self, value: object) -> bool:
        """Return whether a value is a number of the range."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high  # type: ignore[operator]


Choices = Annotated[tuple[Value, ...], Len(2)]
Dimension = Range | Choices
_CHOICES: Final[TypeAdapter[tuple[Value, ...]]] = TypeAdapter(Choices)


@dataclass(frozen=True)
class Space:
    """What a search varies, and from where it starts.

    Attributes:
      base: gives all other fields; its own values are the first trial, where they are in the space.
      dimensions: a range, or a tuple of choices, by the field's name.
    """

    name: str
    question: str
    base: Architecture
    dimensions: Mapping[str, Dimension] = field(hash=False)

    @property
    def identity(self) -> dict[str, Any]:
        """Return what distinguishes the space."""
        return {
            "base": self.base.digest,
            "dimensions": {
                name: dimension.model_dump() if isinstance(dimension, Range) else list(dimension)
                for name, dimension in sorted(self.dimensions.items())
            },
        }

    def base_values(self, experiment: Experiment) -> dict[str, Value] | None:
        """Return the base as values of the space; None where one is not in its dimension."""
        values = {name: self._base_value(name, experiment) for name in self.dimensions}
        inside = {
            name: value
            for name, value in values.items()
            if value is not None and value in self.dimensions[name]
        }
        return inside if len(inside) == len(values) else None

    def trial(self, values: Values, experiment: Experiment, *, num_samples: int) -> Trial:
        """Return the trial of some values; the same values give the same name.

        Numbers are rounded to three digits, so that a page shows what a trial had.

        Raises:
          ConfigError: a value is not one of its field, or there is no such field.
        """
        rounded = {name: _rounded(value) for name, value in values.items()}
        changed = {
            name: value
            for name, value in rounded.items()
            if value != self._base_value(name, experiment)
        }
        name = f"{self.base.name}-{digest(rounded)[:8]}" if changed else self.base.name
        own: dict[str, Any] = {
            key.partition(".")[2]: value
            for key, value in changed.items()
            if key.startswith(f"{_EXPERIMENT}.")
        }
        architecture = self.base
        if changed:
            architecture = self.base.change(name=name, **self._changes(changed))
        return Trial(
            name=name,
            experiment=replace(experiment.with_architecture(architecture), **own),
            change=", ".join(f"{_short(key)} {value}" for key, value in changed.items()),
            num_samples=num_samples,
        )

    def check(self, experiment: Experiment) -> None:
        """Check each dimension at its ends.

        Raises:
          ConfigError: there is no such field, or it does not take the value.
        """
        for name, dimension in self.dimensions.items():
            for value in dimension.ends if isinstance(dimension, Range) else dimension:
                self.trial({name: value}, experiment, num_samples=NUM_SAMPLES)

    def _changes(self, values: Values) -> dict[str, Any]:
        """Return values as changes of the base."""
        blocks = self.base.model_dump(mode="json")[_BLOCKS]
        changes: dict[str, Any] = {}
        if _NUM_BLOCKS in values:
            num = round(_number(_NUM_BLOCKS, values))
            blocks = [*blocks, *[blocks[-1]] * (num - len(blocks))][:num]
        if _FILTERS_SCALE in values:
            scale = _number(_FILTERS_SCALE, values)
            blocks = [one | {"filters": max(1, round(scale * one["filters"]))} for one in blocks]
        for name, value in values.items():
            first, _, rest = name.partition(".")
            if name in (_NUM_BLOCKS, _FILTERS_SCALE):
                continue
            if first == _EXPERIMENT:
                if rest not in _EXPERIMENT_FIELDS:
                    known = ", ".join(f"{_EXPERIMENT}.{one}" for one in _EXPERIMENT_FIELDS)
                    raise ConfigError(f"a search cannot vary {name}; expected one of {known}")
            elif name in (_BLOCKS, "name"):
                raise ConfigError(f"a search cannot vary {name}; name a field, as blocks.pool")
            elif first == _BLOCKS:
                blocks = [one | {rest: value} for one in blocks]
            else:
                _set(changes, name.split("."), value)
        return changes | {_BLOCKS: blocks}

    def _base_value(self, name: str, experiment: Experiment) -> Value | None:
        """Return the base's value of a field; None where it has none, or its blocks differ."""
        first, _, rest = name.partition(".")
        if name == _FILTERS_SCALE:
            return 1.0
        if name == _NUM_BLOCKS:
            return len(self.base.blocks)
        if first == _EXPERIMENT:
            return getattr(experiment, rest, None)
        place: Any = self.base.model_dump(mode="json")
        if first == _BLOCKS:
            values = [block.get(rest) for block in place[_BLOCKS]]
            return values[0] if all(value == values[0] for value in values) else None
        for key in name.split("."):
            place = place.get(key) if isinstance(place, Mapping) else None
        return place if isinstance(place, Value) else None


def _spectral(base: Architecture, *, windows: Choices, hops: Choices) -> Space:
    dimensions: dict[str, Dimension] = {
        _FILTERS_SCALE: Range(low=0.5, high=2.0, log=True),
        _NUM_BLOCKS: Range(low=3, high=5),
        "blocks.kernel_size": (3, 5),
        "head.dropout": Range(low=0.0, high=0.6),
        "fitting.learning_rate": Range(low=5e-4, high=1e-2, log=True),
        "fitting.weight_decay": Range(low=1e-5, high=1e-2, log=True),
        "fitting.label_smoothing": Range(low=0.0, high=0.2),
        "spectrogram.window": windows,
        "spectrogram.hop": hops,
    }
    question = f"Which {base.name} model is the most accurate, and at what cost?"
    return Space(SEARCH, question, base, MappingProxyType(dimensions))


DEFAULT_SPACE: Final = _spectral(SPECTRAL, windows=(128, 256, 512), hops=(64, 128))
FULL_BAND_SPACE: Final = _spectral(SPECTRAL_FULL, windows=(512, 1024, 2048), hops=(256, 512))


def find_space(study: str, *, num_samples: int) -> Space | None:
    """Return the space of the study `search`, or of a TOML file with a table [search].

    Args:
      num_samples: samples per note; the full band has a space of its own.

    Returns:
      None where the study is of another kind.

    Raises:
      ConfigError: the file cannot be read, or its space is not valid.
    """
    if study == SEARCH:
        return DEFAULT_SPACE if num_samples <= 2 * NUM_SAMPLES else FULL_BAND_SPACE
    if not study.endswith(".toml"):
        return None
    try:
        content = tomllib.loads(storage.read(study).decode())
    except (OSError, ValueError) as err:
        raise ConfigError(f"cannot read the study {study}: {err}") from err
    if SEARCH not in content:
        return None
    unknown = content.keys() - {"base", "name", "question", SEARCH}
    if unknown or not isinstance(content[SEARCH], dict):
        raise ConfigError(
            f"{study} is not a search; expected base, name, question and a table [search], got "
            f"{', '.join(content)}"
        )
    base = _read_base(str(content.get("base", SPECTRAL.name)), where=study)
    return Space(
        name=str(content.get("name", storage.name(study).removesuffix(".toml"))),
        question=str(content.get("question", f"Which {base.name} model is the most accurate?")),
        base=base,
        dimensions=MappingProxyType(dict(_dimensions(content[SEARCH], where=study))),
    )


def check_search(space: Space, experiment: Experiment, *, root: str) -> None:
    """Check what a search needs, before any work; imports nothing.

    Raises:
      ConfigError: Optuna is not installed, the root is not a local folder, a dimension is not
        valid, or the protocol scores test notes.
    """
    check_protocol(experiment)
    if find_spec("optuna") is None:
        raise ConfigError("a search needs optuna: pip install 'nsynth-flows[search]'")
    if storage.local_path(root) is None:
        raise ConfigError(
            f"a search needs a root that is a local folder, which its workers may share, got "
            f"{root}: object storage cannot append to its journal"
        )
    space.check(experiment)


def _read_base(name: str, *, where: str) -> Architecture:
    if names_a_file(name):
        return load_architecture(name)
    if name not in BUILT_IN:
        raise ConfigError(f"{where} has base {name!r}; expected one of {', '.join(BUILT_IN)}")
    return BUILT_IN[name]


def _dimensions(
    table: Mapping[str, Any], *, where: str, parent: str = ""
) -> Sequence[tuple[str, Dimension]]:
    """Return the dimensions of a table by their full names; tables within it may be nested."""
    dimensions: list[tuple[str, Dimension]] = []
    for key, value in table.items():
        name = f"{parent}{key}"
        if isinstance(value, dict) and not value.keys() & {"low", "high"}:
            dimensions += _dimensions(value, where=where, parent=f"{name}.")
            continue
        try:
            is_list = isinstance(value, list)
            dimension = _CHOICES.validate_python(value) if is_list else Range.model_validate(value)
            dimensions.append((name, dimension))
        except ValidationError as err:
            raise ConfigError(
                f"{where}: {name} must be a range such as {{low = 0.1, high = 0.5}} or a list of "
                f"choices, got {value!r:.80}: {err.errors()[0]['msg']}"
            ) from err
    if not dimensions:
        raise ConfigError(f"{where}: the table {parent or SEARCH} is empty; name a field to vary")
    return dimensions


def _number(name: str, values: Values) -> float:
    value = values[name]
    if isinstance(value, str):
        raise ConfigError(f"{name} must be a number, got {value!r}")
    return value


def _set(changes: dict[str, Any], path: Sequence[str], value: Value) -> None:
    for key in path[:-1]:
        changes = changes.setdefault(key, {})
    changes[path[-1]] = value


def _rounded(value: Value) -> Value:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _short(name: str) -> str:
    return name.rpartition(".")[2]
