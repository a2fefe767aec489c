"""What a run keeps of its analysis: features.json and cost.json; readers of them need no Keras."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from pipelines import storage
from pipelines.errors import DatasetError
from pipelines.records import Content, Count, read_content, validated

FEATURES_FILE: Final = "features.json"
COST_FILE: Final = "cost.json"

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
    uri = storage.join(run_uri, FEATURES_FILE)
    content = _load(uri, _Features, "the scores of features", "the features are scored again")
    return content if content and content["analysis_version"] in _READABLE else None


def load_cost(run_uri: str) -> Content | None:
    """Read what `measure_cost` stored of a run; None where this version reads nothing of it."""
    uri = storage.join(run_uri, COST_FILE)
    content = _load(uri, _Cost, "the times of steps", "the steps are timed again")
    return content if content and content["format_version"] == COST_FORMAT else None


def _load(uri: str, kind: type[Any], what: str, then: str) -> Content | None:
    if not storage.exists(uri):
        return None
    try:
        content = read_content(uri, what=what, mend=then, versions=None)
        validated(content, kind, uri=uri, what=what, mend=then)
    except DatasetError as err:
        log.warning("%s", err)
        return None
    return content
