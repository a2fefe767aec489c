"""Search of a space with Optuna: proposals, pruning, and the journal that workers share.

Accuracy is the only objective. Optuna prunes no trial of a study with several objectives, and
pruning saves more training time than a second objective finds; what accuracy costs in time is on
the study's page, with the trials that no other beats in both.

A worker claims a trial by a lock of the operating system, which ends with the process. A trial that
is neither finished nor locked belongs to a worker that was killed: its values are proposed again,
and its run goes on after its last checkpoint.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import optuna
from filelock import FileLock, Timeout
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.trial import FrozenTrial, TrialState

from pipelines import storage
from pipelines.errors import ConfigError, PipelineError
from pipelines.experiment import Experiment
from pipelines.layout import JOURNAL, LOCKS_FOLDER, RUNS_FOLDER
from pipelines.records import digest, now
from pipelines.studies.results import (
    PrunedTrial,
    StudyRecord,
    TrialResult,
    study_uri,
    summarise_trial,
)
from pipelines.studies.space import Dimension, Range, Space
from pipelines.studies.study import Study, Trial
from pipelines.studies.trial import run_trial
from pipelines.train.fitting.callbacks import OnEpoch, ignore_epoch
from pipelines.train.selection.split import NUM_FOLDS
from pipelines.validate.verdicts import Validation

# Trials that are chosen at random and never pruned, before the others are judged by them.
NUM_RANDOM: Final = 5
# Trials that fail one after another before a search gives up.
_MAX_FAILURES: Final = 3
# Proposals that may repeat one another, before a worker waits for those at work.
_MAX_PROPOSALS: Final = 10
_POLL_SEC: Final = 1.0

_FINISHED: Final = (TrialState.COMPLETE, TrialState.PRUNED)

# Attributes of the study and of a trial, in the journal.
_CREATED: Final = "created"
_RUNS: Final = "runs"
_CONTINUES: Final = "continues"
_REPEATS: Final = "repeats"
_FAILURE: Final = "failure"

log = logging.getLogger(__name__)
optuna.logging.disable_default_handler()
optuna.logging.enable_propagation()
optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class SearchPlan:
    """A search before it runs; all of it but the number of trials distinguishes the search.

    Attributes:
      train: verdicts on the training data.
      seeds: each trial trains once with each; the first decides what is pruned.
      num_trials: that are finished or pruned, by all workers.
      root: a local folder.
    """

    space: Space
    experiment: Experiment
    train: Validation
    num_samples: int
    seeds: tuple[int, ...]
    num_trials: int
    root: str

    @property
    def study_id(self) -> str:
        """Return what distinguishes the search."""
        return digest(
            [
                self.space.name,
                self.space.identity,
                self.experiment.identity(),
                self.train.manifest_digest,
                self.num_samples,
                list(self.seeds),
            ]
        )[:16]

    @property
    def uri(self) -> str:
        """Return the folder of the study."""
        return study_uri(self.root, self.study_id)


class Search:
    """One worker on the journal of a search.

    Raises:
      ConfigError: the root is not a local folder.
    """

    def __init__(self, plan: SearchPlan) -> None:
        folder = storage.local_path(plan.uri)
        if folder is None:
            raise ConfigError(f"a search needs a root that is a local folder, got {plan.root}")
        self.plan = plan
        self._locks = folder / LOCKS_FOLDER
        self._locks.mkdir(parents=True, exist_ok=True)
        self._lock = _file_lock(self._locks / "search.lock")
        self._results: dict[tuple[str, str | None], TrialResult] = {}
        # Number of finished trials at which there was nothing to propose but what others run.
        self._waits_at = -1
        journal = folder / JOURNAL
        journal_lock = _JournalLock(str(self._locks / "journal.lock"))
        with self._lock:
            journal_lock.acquire()
            _mend(journal)
            journal_lock.release()
            backend = JournalFileBackend(str(journal), lock_obj=journal_lock)
            self._study = optuna.create_study(
                study_name=plan.study_id,
                storage=JournalStorage(backend),
                direction="maximize",
                pruner=optuna.pruners.MedianPruner(
                    n_startup_trials=NUM_RANDOM,
                    # The first epochs say little, least of all with a rate that still rises.
                    n_warmup_steps=plan.experiment.epochs // 3,
                ),
                load_if_exists=True,
            )
            if _CREATED not in self._study.user_attrs:
                self._study.set_user_attr(_CREATED, now())
            values = plan.space.base_values(plan.experiment)
            if values is not None and not self._trials():
                self._study.enqueue_trial(values)

    def claims(self) -> Iterator["Claim"]:
        """Yield trials for this worker to run until the search has its number of trials.

        Each must be run before the next is claimed. Waits for the last trials of other workers,
        and takes over those of workers that end.

        Raises:
          PipelineError: several trials failed one after another.
        """
        failures = 0
        while True:
            with self._lock:
                claim, num_live = self._claim()
            if claim is None:
                if not num_live:
                    return
                time.sleep(_POLL_SEC)
                continue
            yield claim
            failures = failures + 1 if claim.error else 0
            if claim.error and failures == _MAX_FAILURES:
                raise claim.error

    def alone(self) -> FileLock:
        """Return a lock for what one worker does at a time; while it is held, none claims."""
        return self._lock

    def study(self) -> Study:
        """Return the trials that are complete, without what repeats another; the base is first.

        Raises:
          ConfigError: there is none.
        """
        return Study(self.plan.space.name, self.plan.space.question, tuple(self._complete()))

    def record(self) -> StudyRecord:
        """Return the record of all trials that are finished, of all workers."""
        complete, plan = self._complete(), self.plan
        return StudyRecord(
            study_id=plan.study_id,
            name=plan.space.name,
            question=plan.space.question,
            protocol=plan.experiment.protocol,
            seeds=plan.seeds,
            train={str(plan.num_samples): plan.train.manifest_digest},
            trials=tuple(self._summarise(trial, complete) for trial in complete),
            candidate=None,
            created=self._study.user_attrs[_CREATED],
            pruned=tuple(self._pruned()),
        )

    def _claim(self) -> tuple["Claim | None", int]:
        """Claim the next trial, and count those that other workers run; the lock is held."""
        self._take_over()
        trials = self._trials()
        num_live = sum(trial.state == TrialState.RUNNING for trial in trials)
        for _ in range(_MAX_PROPOSALS):
            num_finished = sum(trial.state in _FINISHED for trial in self._trials())
            is_stuck = num_live and num_finished == self._waits_at
            if num_finished + num_live >= self.plan.num_trials or is_stuck:
                return None, num_live
            if (claim := self._propose()) is not None:
                return claim, num_live
        self._waits_at = num_finished
        return None, num_live

    def _take_over(self) -> None:
        """Propose again what workers left that were killed."""
        for trial in self._trials():
            if trial.state != TrialState.RUNNING:
                continue
            lock = self._trial_lock(trial.number)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            log.info("trial %d was not finished by its worker; it goes on", trial.number)
            self._study.tell(trial.number, state=TrialState.FAIL)
            # A worker may be killed before its trial has all of its values.
            if trial.params.keys() == self.plan.space.dimensions.keys():
                self._study.enqueue_trial(trial.params, user_attrs={_CONTINUES: trial.number})
            lock.release()

    def _propose(self) -> "Claim | None":
        """Return a claim on a new trial; None where it repeats another, whose result it takes."""
        before = self._trials()
        # A sampler that a worker keeps would start again with the same trials after a resume. With
        # a seed of each trial's own, a search that was killed proposes what it would have proposed.
        # A trial that a killed worker left is replaced by another and not counted.
        num = sum(one.state != TrialState.FAIL or _FAILURE in one.user_attrs for one in before)
        self._study.sampler = optuna.samplers.TPESampler(
            seed=int(digest([self.plan.seeds[0], num])[:8], 16), n_startup_trials=NUM_RANDOM
        )
        proposed = self._study.ask(
            {name: _distribution(one) for name, one in self.plan.space.dimensions.items()}
        )
        own = self._trial_of(proposed)
        twins = [
            one
            for one in before
            if one.state in (*_FINISHED, TrialState.RUNNING)
            and self._trial_of(one).name == own.name
        ]
        if not twins:
            lock = self._trial_lock(proposed.number)
            lock.acquire(blocking=False)
            continued = proposed.user_attrs.get(_CONTINUES)
            return Claim(
                own, proposed, None if continued is None else before[continued], self.plan, lock
            )
        twin = min(twins, key=lambda one: (one.state == TrialState.RUNNING, one.number))
        proposed.set_user_attr(_REPEATS, twin.number)
        if twin.state == TrialState.RUNNING:
            proposed.set_user_attr(_FAILURE, "another worker runs the same")
            self._study.tell(proposed, state=TrialState.FAIL)
        elif twin.state == TrialState.PRUNED:
            self._study.tell(proposed, state=TrialState.PRUNED)
        else:
            self._study.tell(proposed, twin.value)
        return None

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _trial_lock(self, number: int) -> FileLock:
        return _file_lock(self._locks / f"trial-{number:05d}.lock")

    def _trial_of(self, trial: FrozenTrial | optuna.Trial) -> Trial:
        plan = self.plan
        return plan.space.trial(trial.params, plan.experiment, num_samples=plan.num_samples)

    def _distinct(self, state: TrialState) -> list[FrozenTrial]:
        return [
            one for one in self._trials() if one.state == state and _REPEATS not in one.user_attrs
        ]

    def _complete(self) -> dict[Trial, tuple[str, ...]]:
        """Return the complete trials with their runs, each compared with the base, which is first.

        A search whose base is not complete, or not in its space, compares none.
        """
        runs = storage.join(storage.absolute(self.plan.root), RUNS_FOLDER)
        trials = {
            self._trial_of(one): tuple(storage.join(runs, name) for name in one.user_attrs[_RUNS])
            for one in self._distinct(TrialState.COMPLETE)
        }
        base = self.plan.space.base.name
        if base not in {trial.name for trial in trials}:
            return trials
        # The base may have been killed and completed later than others.
        ordered = sorted(trials, key=lambda trial: trial.name != base)
        return {
            replace(trial, base=None if trial.name == base else base): trials[trial]
            for trial in ordered
        }

    def _summarise(self, trial: Trial, complete: Mapping[Trial, tuple[str, ...]]) -> TrialResult:
        """Return what a trial shows; worked out once, since complete runs do not change."""
        key = (trial.name, trial.base)
        if key not in self._results:
            bases = [uris for other, uris in complete.items() if other.name == trial.base]
            self._results[key] = summarise_trial(
                trial,
                complete[trial],
                base_uris=bases[0] if bases else (),
                base_model=trial.base or "",
            )
        return self._results[key]

    def _pruned(self) -> Iterator[PrunedTrial]:
        for one in self._distinct(TrialState.PRUNED):
            trial, epoch = self._trial_of(one), one.last_step or 0
            accuracy = one.intermediate_values.get(epoch, 0.0)
            yield PrunedTrial(trial.name, trial.change, epoch, accuracy)


class Claim:
    """A trial that this worker alone runs, while it holds the trial's lock.

    Attributes:
      error: why the trial failed; None while it has not.
    """

    def __init__(
        self,
        trial: Trial,
        proposed: optuna.Trial,
        before: FrozenTrial | None,
        plan: SearchPlan,
        lock: FileLock,
    ) -> None:
        self.trial = trial
        self.error: PipelineError | None = None
        self._proposed, self._plan, self._lock = proposed, plan, lock
        self._num_reported = 0
        for epoch, accuracy in sorted((before.intermediate_values if before else {}).items()):
            self._report(epoch, accuracy)

    def run(self, *, cache_dir: Path, on_epoch: OnEpoch = ignore_epoch) -> None:
        """Train and score the trial with each seed and record how it ended; may be repeated.

        A trial that falls behind is pruned: its run keeps its checkpoints and is not complete. One
        that fails for its data or its values is recorded as failed and leaves its `error`.
        """
        plan, runs = self._plan, list[str]()
        try:
            for seed in plan.seeds:
                watched = on_epoch if runs else self._watch(on_epoch)
                runs.append(
                    run_trial(
                        self.trial,
                        seed,
                        plan.train,
                        root=plan.root,
                        cache_dir=cache_dir,
                        on_epoch=watched,
                    )
                )
            accuracy = summarise_trial(self.trial, runs).accuracy
        except optuna.TrialPruned:
            log.info("%s is pruned: most trials were better by then", self.trial.name)
            self._end(TrialState.PRUNED)
        except PipelineError as err:
            log.warning("%s failed: %s", self.trial.name, err)
            self.error = err
            self._proposed.set_user_attr(_FAILURE, str(err))
            self._end(TrialState.FAIL)
        else:
            self._proposed.set_user_attr(_RUNS, [storage.name(uri) for uri in runs])
            self._end(TrialState.COMPLETE, accuracy)

    def _watch(self, on_epoch: OnEpoch) -> OnEpoch:
        """Return a callback that reports the epochs of the first training, of folds and seeds."""
        plan = self._plan
        num_trainings = len(plan.seeds) * (
            NUM_FOLDS if plan.experiment.protocol == "grouped" else 1
        )

        def watch(model: str, epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
            on_epoch(model, epoch, epochs, logs)
            # After a kill an epoch may run again, and later folds count their epochs from 1.
            if epoch <= self._num_reported:
                return
            self._report(epoch, logs["val_accuracy"])
            is_last = epoch == epochs and num_trainings == 1
            # Nothing is saved after the last epoch.
            if not is_last and self._proposed.should_prune():
                raise optuna.TrialPruned

        return watch

    def _report(self, epoch: int, accuracy: float) -> None:
        self._proposed.report(accuracy, epoch)
        self._num_reported = epoch

    def _end(self, state: TrialState, accuracy: float | None = None) -> None:
        self._proposed.study.tell(self._proposed, accuracy, state=state)
        self._lock.release()


class _JournalLock(JournalFileOpenLock):
    """A lock of the operating system, in place of a file that a killed worker leaves for 30 s."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._file_lock = _file_lock(Path(path))

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._file_lock.acquire()
        return True

    def release(self) -> None:
        """Release the lock."""
        self._file_lock.release()


def _file_lock(path: Path) -> FileLock:
    # A task may run in another thread than the flow that claimed its trial.
    return FileLock(str(path), thread_local=False)


def _mend(journal: Path) -> None:
    """Remove an entry that a machine's end cut short, which Optuna would read as damage."""
    if not journal.exists():
        return
    data = journal.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        log.warning("the last entry of %s was cut short; it is removed", journal)
        os.truncate(journal, whole)


def _distribution(dimension: Dimension) -> BaseDistribution:
    if not isinstance(dimension, Range):
        return CategoricalDistribution(dimension)
    if dimension.is_whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
