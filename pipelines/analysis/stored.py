"""Stored analysis of a run: features.json, cost.json and baselines; read without Keras."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from pipelines import storage
from pipelines.errors import DatasetError, FormatError, PipelineError
from pipelines.evaluate.predictions import load_predictions
from pipelines.evaluate.stored import Metrics, read_metrics
from pipelines.layout import BASELINES_FOLDER, COST_FILE, FEATURES_FILE, PREDICTIONS, STRESS
from pipelines.parameters import BaselineName
from pipelines.records import Content, Count, read_content, read_record, validated

# Raised whenever the same run would give other scores; 2 adds what metadata gain.
ANALYSIS_VERSION: Final = 2

# Versions whose scores a report can show.
_READABLE: Final = (1, 2)

COST_FORMAT: Final = 1

STRESS_FORMAT: Final = 1

_Seconds = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class FeatureScore:
    """How often a classifier of some features is right about notes that did not train it.

    Attributes:
      feature: a name of `features.FEATURES`, `spectrum`, `none`, or `audio` and the model's name.
      interval: 95 % interval with instruments resampled; None where notes are too few or show no
        spread.
      is_constant: whether the feature has one value only in all notes that train.
    """

    feature: str
    accuracy: float
    interval: tuple[float, float] | None
    num_notes: Count
    num_instruments: Count
    is_constant: bool


@dataclass(frozen=True)
class Gain:
    """How much more often a classifier is right once it has other features too.

    Attributes:
      beside: the feature that it has in any case, as `FeatureScore` names them.
      added: the feature that it has in addition.
      interval: paired 95 % interval with instruments resampled; None as for a score.
    """

    beside: str
    added: str
    difference: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class StepTimes:
    """Times of a model's training steps.

    Attributes:
      exponent: of the power law that the times follow, see `cost.fit_growth`.
      interval: 95 % interval of the exponent; None where the rounds are too few.
      seconds: of a step, by round and length.
    """

    exponent: float
    interval: tuple[float, float] | None
    seconds: Annotated[tuple[tuple[_Seconds, ...], ...], Field(min_length=1)]


@dataclass(frozen=True)
class StressPoint:
    """Accuracy of a model on notes that were changed in one way.

    Attributes:
      kind: `delay`, `polarity`, `gain`, `noise` or `part`.
      name: the change in words.
      value: of the change, in ms or dB; None where it has none.
      interval: 95 % interval with instruments resampled; None where notes are too few or show no
        spread.
      difference: from the accuracy on the notes as they are.
      difference_interval: paired, as `interval`.
    """

    kind: str
    name: str
    value: float | None
    accuracy: float
    interval: tuple[float, float] | None
    difference: float
    difference_interval: tuple[float, float] | None


@dataclass(frozen=True)
class StressSheet:
    """Robustness of one model of a run, stress.json.

    Attributes:
      of: what the figures follow from: version, notes of the run, models.
      seed: of the noise.
      num_notes: the kept test notes.
      accuracy: on the notes as they are, as is `interval`.
    """

    model: str
    of: tuple[str, ...]
    seed: Count
    num_notes: Count
    num_instruments: Count
    accuracy: float
    interval: tuple[float, float] | None
    points: tuple[StressPoint, ...]


@dataclass(frozen=True)
class _Features:
    """The part of features.json that readers rely on."""

    analysis_version: Count
    of: tuple[str, ...]
    scores: tuple[FeatureScore, ...]
    gain: Gain | None = None


@dataclass(frozen=True)
class _Cost:
    """The part of cost.json that readers rely on."""

    format_version: Count
    of: str
    device: str
    batch_size: Annotated[int, Field(gt=0)]
    lengths: tuple[Count, ...]
    models: Annotated[Mapping[str, StepTimes], Field(min_length=1)]

    def __post_init__(self) -> None:
        rounds = [steps for times in self.models.values() for steps in times.seconds]
        if any(len(steps) != len(self.lengths) for steps in rounds):
            raise DatasetError("a round has not one time of each length")


log = logging.getLogger(__name__)


def load_features(run_uri: str) -> Content | None:
    """Read the stored feature scores of a run; None if there are none that this version reads."""
    return _load(read_features, run_uri, FEATURES_FILE)


def load_cost(run_uri: str) -> Content | None:
    """Read the stored step times of a run; None if there are none that this version reads."""
    return _load(read_cost, run_uri, COST_FILE)


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


def load_stress(run_uri: str, models: Iterable[str]) -> dict[str, StressSheet]:
    """Read the stored robustness sheets of models; those that cannot be read are left out."""
    found = dict[str, StressSheet]()
    for name in models:
        uri = storage.join(run_uri, name)
        if storage.exists(storage.join(uri, STRESS)):
            try:
                found[name] = read_stress(uri)
            except PipelineError as err:
                log.warning("%s", err)
    return found


def read_stress(model_uri: str) -> StressSheet:
    """Read stress.json in the folder of a model.

    Raises:
      ConfigError: there is none.
      FormatError: it is of a version that this one does not read.
      DatasetError: it is damaged, or was changed.
    """
    return read_record(
        storage.join(model_uri, STRESS),
        StressSheet,
        what="a robustness sheet",
        mend="measure again: nsynth stress --force",
        versions=(STRESS_FORMAT,),
    )


def load_baselines(run_uri: str) -> dict[str, Metrics]:
    """Read the metrics of the stored baselines of a run; those that cannot be read are left out."""
    folder, found = storage.join(run_uri, BASELINES_FOLDER), dict[str, Metrics]()
    for name in BaselineName:
        uri = storage.join(folder, name)
        if name in storage.list_folders(folder):
            try:
                found[name] = read_metrics(uri)
            except PipelineError as err:
                log.warning("%s", err)
    return found


def check_baselines(run_uri: str) -> None:
    """Read all that is stored of baselines.

    Raises:
      PipelineError: it is damaged or was changed.
    """
    folder = storage.join(run_uri, BASELINES_FOLDER)
    for name in storage.list_folders(folder):
        uri = storage.join(folder, name)
        predictions = load_predictions(storage.join(uri, PREDICTIONS))
        if read_metrics(uri).num_scored != predictions.kept.sum():
            raise DatasetError(f"{uri} has metrics of other notes; score the baselines again")


def _check_version(uri: str, version: Any, readable: Sequence[int]) -> None:
    if isinstance(version, int) and version not in readable:
        raise FormatError(f"{uri} is of version {version}, which this version does not read")


def _load(read: Callable[[str], Content], run_uri: str, name: str) -> Content | None:
    if not storage.exists(storage.join(run_uri, name)):
        return None
    try:
        return read(run_uri)
    except DatasetError as err:
        log.warning("%s", err)
        return None
