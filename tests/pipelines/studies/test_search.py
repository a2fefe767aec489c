"""Searches of a few tiny trials, each an ordinary run.

Searches of another name are others, but their trials are the same runs, which train once here.
"""

import json
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages.journal import JournalFileBackend, JournalStorage

from pipelines.architecture import PRELIMINARY
from pipelines.errors import ConfigError
from pipelines.experiment import Experiment
from pipelines.layout import JOURNAL
from pipelines.registry.runs import load_run
from pipelines.studies.search import NUM_RANDOM, Search, SearchPlan
from pipelines.studies.space import Range, Space
from pipelines.validate.verdicts import Validation, validate
from tests.pipelines.train.conftest import TRAIN
from tests.pipelines.train.tiny import commit_notes

BASE = PRELIMINARY.change(name="narrow", blocks=[{"filters": 4}])
SPACE = Space(
    "tiny",
    "Which step?",
    BASE,
    {
        "fitting.learning_rate": Range(low=1e-4, high=1e-2, log=True),
        "blocks.kernel_size": (2, 3),
    },
)
EXPERIMENT = Experiment(models=("optimised",), protocol="validation", epochs=1, batch_size=4)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def train(root: Path) -> Validation:
    return validate(commit_notes(root, "train", TRAIN, num_samples=1_000))


def make_plan(train: Validation, root: Path, name: str, *, num_trials: int = 3) -> SearchPlan:
    space = replace(SPACE, name=name)
    return SearchPlan(space, EXPERIMENT, train, 1_000, (0,), num_trials, str(root))


def run_all(plan: SearchPlan) -> list[str]:
    """Run a search to its end; return the names of the trials that were run."""
    names = []
    for claim in Search(plan).claims():
        claim.run(cache_dir=Path(plan.root) / "cache")
        names.append(claim.trial.name)
    return names


@pytest.fixture(scope="module")
def searched(train: Validation, root: Path) -> SearchPlan:
    """Return a search of three trials that is at its end."""
    plan = make_plan(train, root, "searched")
    assert len(set(run_all(plan))) == 3
    return plan


def test_search_starts_from_the_base_and_compares_all_with_it(searched: SearchPlan) -> None:
    record = Search(searched).record()
    base, *others = record.trials
    assert (base.name, base.base, base.gain) == ("narrow", None, None)
    assert [other.base for other in others] == ["narrow", "narrow"]
    for trial in record.trials:
        run = load_run(f"{searched.root}/runs/{trial.run_ids[0]}")
        # No trial has test data: what is scored is of the training data set.
        assert run.datasets["test"].manifest_digest == searched.train.manifest_digest
    assert "learning_rate" in others[0].change


def test_search_at_its_end_runs_nothing_and_a_higher_number_continues_it(
    searched: SearchPlan,
) -> None:
    assert run_all(searched) == []
    before = [trial.name for trial in Search(searched).record().trials]
    (name,) = run_all(replace(searched, num_trials=4))
    assert name not in before
    assert [trial.name for trial in Search(searched).record().trials] == [*before, name]


def test_search_with_the_same_seed_proposes_the_same(
    searched: SearchPlan, train: Validation, root: Path
) -> None:
    assert run_all(make_plan(train, root, "same")) == [
        trial.name for trial in Search(searched).record().trials[:3]
    ]


def test_trial_that_a_worker_left_goes_on_and_no_other_is_repeated(
    searched: SearchPlan, train: Validation, root: Path
) -> None:
    plan = make_plan(train, root, "left")
    claims = Search(plan).claims()
    next(claims).run(cache_dir=root / "cache")
    left = next(claims).trial.name
    # The end of a process releases its locks; here the claim is no longer used.
    del claims
    assert run_all(plan) == [
        left,
        next(trial.name for trial in Search(searched).record().trials[1:] if trial.name != left),
    ]


def test_two_workers_never_claim_the_same_trial(
    searched: SearchPlan, train: Validation, root: Path
) -> None:
    plan = make_plan(train, root, "shared", num_trials=3)
    workers = [Search(plan).claims(), Search(plan).claims()]
    held = [next(worker) for worker in workers]
    assert held[0].trial.name != held[1].trial.name
    for claim in held:
        claim.run(cache_dir=root / "cache")
    assert len(run_all(plan)) == 1
    assert len(Search(plan).record().trials) == 3


def test_trial_that_falls_behind_is_pruned_and_its_run_is_not_complete(
    train: Validation, tmp_path: Path
) -> None:
    plan = make_plan(train, tmp_path, "behind", num_trials=NUM_RANDOM + 1)
    plan = replace(plan, experiment=replace(EXPERIMENT, epochs=3))
    search = Search(plan)
    add_better_trials(plan)
    epochs = list[int]()
    claim = next(search.claims())
    claim.run(
        cache_dir=tmp_path / "cache",
        on_epoch=lambda model, epoch, num, logs: epochs.append(epoch),
    )
    (pruned,) = search.record().pruned
    assert (pruned.name, pruned.epoch, epochs) == (claim.trial.name, 1, [1])
    assert 0 <= pruned.accuracy <= 1
    (run,) = (tmp_path / "runs").iterdir()
    assert not (run / "run.json").exists()


def add_better_trials(plan: SearchPlan) -> None:
    """Write trials into the journal that are more accurate than any can be."""
    backend = JournalFileBackend(f"{plan.uri}/{JOURNAL}")
    study = optuna.load_study(study_name=plan.study_id, storage=JournalStorage(backend))
    for number in range(NUM_RANDOM):
        study.add_trial(
            optuna.create_trial(
                params={"fitting.learning_rate": 1e-3 + number / 1e4, "blocks.kernel_size": 3},
                distributions={
                    "fitting.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
                    "blocks.kernel_size": CategoricalDistribution((2, 3)),
                },
                value=2.0,
                intermediate_values={1: 2.0, 2: 2.0, 3: 2.0},
                # They have no runs, and are not in the record.
                user_attrs={"repeats": 0},
            )
        )


def test_search_gives_up_after_three_failures(train: Validation, tmp_path: Path) -> None:
    # Pools longer than the notes.
    space = replace(SPACE, dimensions={"blocks.pool": Range(low=1500, high=3000)})
    plan = replace(make_plan(train, tmp_path, "failing"), space=space)
    with pytest.raises(ConfigError, match="cannot take notes of 1000 samples"):
        run_all(plan)
    assert Search(plan).record().trials == ()


def test_last_entry_that_was_cut_short_is_removed(
    searched: SearchPlan, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Path(searched.uri) / JOURNAL
    before = journal.read_bytes()
    with journal.open("ab") as file:
        file.write(b'{"op_code":')
    assert len(Search(searched).record().trials) >= 3
    after = journal.read_bytes()
    assert after.startswith(before)
    assert all(map(json.loads, after.splitlines()))
    assert "was cut short" in caplog.text


def test_choices_that_are_used_up_end_a_search(train: Validation, root: Path) -> None:
    space = replace(SPACE, dimensions={"blocks.kernel_size": (2, 3)})
    plan = replace(make_plan(train, root, "choices", num_trials=6), space=space)
    assert len(run_all(plan)) == 2
