"""What a run keeps of its analysis: features.json and cost.json; readers of them need no Keras."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from pipelines import storage
from pipelines.errors import DatasetError, FormatError
from pipelines.layout import COST_FILE, FEATURES_FILE
from pipelines.records import Content, Count, read_content, validated

ANALYSIS_VERSION: Final = 2
"""Raised whenever the same run would give other scores; 2 adds what metadata gain."""

_READABLE: Final = (1, 2)
"""Versions whose scores a report can show."""

COST_FORMAT: Final = 1
"""Of cost.json."""

_Ends = tuple[float, float]
_Seconds = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class _Score:
    feature: str
    accuracy: float
    interval: _Ends | None
    num_notes: Count
    num_instruments: Count
    is_constant: bool


@dataclass(frozen=True)
class _Gain:
    beside: str
    added: str
    difference: float
    interval: _Ends | None


@dataclass(frozen=True)
class _Features:
    """What readers of features.json rely on."""

    analysis_version: Count
    of: tuple[str, ...]
    scores: tuple[_Score, ...]
    gain: _Gain | None = None


@dataclass(frozen=True)
class _Times:
    """A model's part of cost.json: seconds of a step by round and length."""

    exponent: float
    interval: _Ends | None
    seconds: Annotated[tuple[tuple[_Seconds, ...], ...], Field(min_length=1)]


@dataclass(frozen=True)
class _Cost:
    """What readers of cost.json rely on."""

    format_version: Count
    of: str
    device: str
    batch_size: Annotated[int, Field(gt=0)]
    lengths: tuple[Count, ...]
    models: Annotated[Mapping[str, _Times], Field(min_length=1)]

    def __post_init__(self) -> None:
        rounds = [steps for times in self.models.values() for steps in times.seconds]
        if any(len(steps) != len(self.lengths) for steps in rounds):
            raise DatasetError("a round has not one time of each length")


log = logging.getLogger(__name__)


def load_features(run_uri: str) -> Content | None:
    """Read what `analyse` stored of a run; None where it stored nothing that this version reads."""
    return _known(read_features, run_uri, FEATURES_FILE)


def load_cost(run_uri: str) -> Content | None:
    """Read what `measure_cost` stored of a run; None where this version reads nothing of it."""
    return _known(read_cost, run_uri, COST_FILE)


def read_features(run_uri: str) -> Content:
    """Read features.json.

    Raises:
      ConfigError: there is none.
      FormatError: it is of a version that this one does not read.
      DatasetError: it is damaged.
    """
    uri, what = storage.join(run_uri, FEATURES_FILE), "the scores of features"
    mend = "the features are scored again"
    content = read_content(uri, what=what, mend=mend, versions=None)
    _check_version(uri, content.get("analysis_version"), _READABLE)
    validated(content, _Features, uri=uri, what=what, mend=mend)
    return content


def read_cost(run_uri: str) -> Content:
    """Read cost.json; raise as `read_features` does."""
    uri, what = storage.join(run_uri, COST_FILE), "the times of steps"
    mend = "the steps are timed again"
    content = read_content(uri, what=what, mend=mend, versions=None)
    _check_version(uri, content.get("format_version"), (COST_FORMAT,))
    validated(content, _Cost, uri=uri, what=what, mend=mend)
    return content


def _check_version(uri: str, found: Any, known: Sequence[int]) -> None:
    if isinstance(found, int) and found not in known:
        raise FormatError(f"{uri} is of version {found}, which this version does not read")


def _known(read: Callable[[str], Content], run_uri: str, name: str) -> Content | None:
    if not storage.exists(storage.join(run_uri, name)):
        return None
    try:
        return read(run_uri)
    except DatasetError as err:
        log.warning("%s", err)
        return None
