"""The results of a study, from the runs of its trials, and their record in the study's folder."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import Any, Final

import numpy as np
from scipy import stats

from pipelines import storage
from pipelines.evaluate.bootstrap import LEVEL, Interval
from pipelines.evaluate.comparison import compare_overall
from pipelines.evaluate.predictions import Predictions, load_predictions
from pipelines.evaluate.stored import read_metrics
from pipelines.layout import BATCHES, PREDICTIONS, STUDIES_FOLDER, STUDY, UNITS
from pipelines.records import Count, Name, digest, read_content, read_record, sealed
from pipelines.registry.runs import load_history, load_run
from pipelines.studies.study import Study, Trial

FORMAT_VERSION: Final = 1

# A training has converged after the first epoch from which on the validation loss improves by less
# than this share in so many epochs.
_LITTLE: Final = 0.01
_EPOCHS: Final = 5


@dataclass(frozen=True)
class TrialResult:
    """What one trial showed; means over its seeds.

    Attributes:
      change: what it changes from `base`, in words.
      run_ids: one run per seed.
      accuracy: of the kept notes that its protocol scores; never of test notes.
      interval: of the accuracy, of 95 %, from the first seed; None where notes are too few.
      gain: accuracy minus that of `base`, paired; None for a trial without a base.
      gain_interval: of 95 %: over instruments and notes with one seed, over seeds with several.
      gap: training accuracy minus validation accuracy in the last epoch.
      epoch_seconds: median of all epochs but the first, which compiles.
      dead_units: share of units that no note activates; None where it was not measured.
      converged_after: epoch; None where the loss was still falling.
      batch_accuracies: accuracy by the batch size of the evaluation, of the first seed; empty where
        it was not measured.
    """

    name: Name
    model: Name
    change: str
    base: Name | None
    finding: str
    removes: bool
    num_samples: Count
    num_parameters: Count
    run_ids: tuple[Name, ...]
    accuracy: float
    interval: Interval | None
    gain: float | None
    gain_interval: Interval | None
    gap: float
    epoch_seconds: float
    dead_units: float | None
    converged_after: Count | None
    batch_accuracies: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """The trial that was chosen, and its only score on test notes.

    Attributes:
      run_id: its run on the test notes; None where the study had none.
      accuracy: of the kept test notes.
    """

    trial: Name
    run_id: Name | None = None
    accuracy: float | None = None
    interval: Interval | None = None


@dataclass(frozen=True)
class PrunedTrial:
    """A trial of a search that was stopped early; its run is not complete.

    Attributes:
      change: what it changes from the base, in words.
      epoch: the last one that ended.
      accuracy: of the notes that validate, after that epoch.
    """

    name: Name
    change: str
    epoch: Count
    accuracy: float


@dataclass(frozen=True)
class StudyRecord:
    """A study with its results; study.json.

    Attributes:
      protocol: of the trials; none that scores test notes.
      train: manifest digests of the training data, by samples per note.
      trials: in their order; those that are done.
      candidate: the trial of the highest accuracy; None before all are done.
      created: when it was begun, in ISO 8601.
      pruned: trials of a search that were stopped early, since they fell behind.
    """

    study_id: Name
    name: str
    question: str
    protocol: str
    seeds: tuple[Count, ...]
    train: Mapping[str, str]
    trials: tuple[TrialResult, ...]
    candidate: Candidate | None
    created: str
    pruned: tuple[PrunedTrial, ...] = ()


def study_id(study: Study, *, train: Mapping[int, str], seeds: Sequence[int]) -> str:
    """Return what distinguishes a study: its trials, data and seeds.

    Args:
      train: manifest digest of the training data by samples per note.
    """
    trials = [
        [trial.name, trial.base, trial.num_samples, trial.experiment.identity()]
        for trial in study.trials
    ]
    data = [[length, train[length]] for length in sorted(train)]
    return digest([study.name, trials, data, list(seeds)])[:16]


def study_uri(root: str, identity: str) -> str:
    """Return the folder of a study."""
    return storage.join(storage.absolute(root), STUDIES_FOLDER, identity)


def store_study(record: StudyRecord, uri: str) -> None:
    """Write study.json in the folder of the study."""
    storage.put(storage.join(uri, STUDY), sealed(asdict(record), format_version=FORMAT_VERSION))


def load_study(uri: str) -> StudyRecord:
    """Read study.json of the study in the folder `uri`.

    Raises:
      ConfigError: there is none.
      DatasetError: it is damaged, or of a format that this version does not read.
    """
    return read_record(
        storage.join(uri, STUDY),
        StudyRecord,
        what="the record of a study",
        mend="run the same study again, which trains nothing twice",
        versions=(FORMAT_VERSION,),
    )


def scored_candidate(uri: str) -> Candidate | None:
    """Return the candidate of a stored study that test notes have scored; None without one.

    It is final: another trial that became the best would be a second look at the test notes.
    """
    if not storage.exists(storage.join(uri, STUDY)):
        return None
    candidate = load_study(uri).candidate
    return candidate if candidate is not None and candidate.run_id is not None else None


def summarise_trial(
    trial: Trial,
    run_uris: Sequence[str],
    *,
    base_uris: Sequence[str] = (),
    base_model: str = "",
) -> TrialResult:
    """Return what the runs of a trial show.

    Args:
      run_uris: one per seed.
      base_uris: runs of the trial's base, with the same seeds.

    Raises:
      DatasetError: what a run stored is damaged.
    """
    model, records = trial.model, [load_run(uri) for uri in run_uris]
    places = [storage.join(uri, model) for uri in run_uris]
    scores = [read_metrics(place) for place in places]
    histories = [load_history(place) for place in places]
    gain, gain_interval = None, None
    if base_uris:
        bases = [storage.join(uri, base_model) for uri in base_uris]
        gain, gain_interval = _gain(
            [_predictions(place) for place in bases], [_predictions(place) for place in places]
        )
    first = histories[0]
    return TrialResult(
        name=trial.name,
        model=model,
        change=trial.change,
        base=trial.base,
        finding=trial.finding,
        removes=trial.removes,
        num_samples=trial.num_samples,
        num_parameters=records[0].models[model].num_parameters,
        run_ids=tuple(record.run_id for record in records),
        accuracy=fmean(score.accuracy for score in scores),
        interval=scores[0].intervals.get("accuracy"),
        gain=gain,
        gain_interval=gain_interval,
        gap=fmean(history["accuracy"][-1] - history["val_accuracy"][-1] for history in histories),
        epoch_seconds=median(
            seconds
            for history in histories
            for seconds in history["seconds"][1:] or history["seconds"]
        ),
        dead_units=_probe(places[0], UNITS).get("dead_share"),
        converged_after=converged_after(first["val_loss"]),
        batch_accuracies=_probe(places[0], BATCHES).get("accuracies", {}),
    )


def converged_after(losses: Sequence[float]) -> int | None:
    """Return the first epoch after which five epochs improve the validation loss by less than 1 %.

    Args:
      losses: of validation, one per epoch.

    Returns:
      The epoch, from 1; None where there is none.
    """
    for epoch in range(1, len(losses) - _EPOCHS + 1):
        best = min(losses[:epoch])
        if min(losses[epoch : epoch + _EPOCHS]) > best * (1 - _LITTLE):
            return epoch
    return None


def choose(trials: Sequence[TrialResult]) -> TrialResult:
    """Return the trial of the highest accuracy; of equal ones that with the fewest parameters."""
    return max(trials, key=lambda one: (one.accuracy, -one.num_parameters))


def pareto_front(trials: Sequence[TrialResult], cost: str) -> list[TrialResult]:
    """Return the trials that no other beats in both accuracy and cost, cheapest first.

    Args:
      cost: `epoch_seconds` or `num_parameters`.
    """
    front: list[TrialResult] = []
    for trial in sorted(trials, key=lambda one: (getattr(one, cost), -one.accuracy)):
        if not front or trial.accuracy > front[-1].accuracy:
            front.append(trial)
    return front


def _gain(
    before: Sequence[Predictions], after: Sequence[Predictions]
) -> tuple[float, Interval | None]:
    """Return the mean gain over the seeds, and its interval."""
    differences = [
        compare_overall(first, second).figures["accuracy"]
        for first, second in zip(before, after, strict=True)
    ]
    gains = [one.difference for one in differences]
    if len(gains) == 1:
        return gains[0], differences[0].interval
    error = float(np.std(gains, ddof=1)) / len(gains) ** 0.5
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(gains) - 1)) * error
    return fmean(gains), (fmean(gains) - half, fmean(gains) + half)


def _probe(place: str, name: str) -> dict[str, Any]:
    """Return what a trial measured of its model; empty where it did not."""
    uri = storage.join(place, name)
    if not storage.exists(uri):
        return {}
    return read_content(
        uri, what="a measurement of a model", mend="run the study again", versions=(1,)
    )


def _predictions(place: str) -> Predictions:
    return load_predictions(storage.join(place, PREDICTIONS))
