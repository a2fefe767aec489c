"""A search whose worker is killed, and one that two workers share."""

from collections import Counter
from pathlib import Path

import pytest

from pipelines.layout import JOURNAL
from pipelines.validate.verdicts import Validation, validate
from tests.pipelines.train.conftest import TRAIN
from tests.pipelines.train.tiny import commit_notes
from tests.train.kill import child, run_to_the_end, until
from tests.train.searching import NUM_TRIALS, list_trials, search, search_uri


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Validation:
    folder = tmp_path_factory.mktemp("notes")
    return validate(commit_notes(folder, "train", TRAIN, num_samples=1_000))


def run_times(root: Path) -> dict[str, int]:
    """Return when the record of each complete run was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in root.glob("runs/*/run.json")}


def trainings(root: Path) -> Counter[str]:
    """Return how often each run was begun, by the workers' own notes."""
    return Counter(name for path in root.glob("*.log") for name in path.read_text().split())


def test_killed_search_goes_on_and_repeats_no_finished_trial(
    train: Validation, tmp_path: Path
) -> None:
    with child(search, train, str(tmp_path), "killed") as worker:
        # In the middle of its second trial: one run is complete, and another has a checkpoint.
        until(
            lambda: (
                len(run_times(tmp_path)) == 1
                and len(list(tmp_path.glob("runs/*/*/checkpoints/epoch-*.npz"))) > 0
            ),
            worker,
        )
        worker.kill()
        worker.join()
    before = run_times(tmp_path)
    assert len(before) == 1
    run_to_the_end(search, train, str(tmp_path), "again")
    after = run_times(tmp_path)
    assert {name: after[name] for name in before} == before
    begun = trainings(tmp_path)
    trials = list_trials(train, str(tmp_path))
    assert len(trials) == NUM_TRIALS
    # The second was begun twice, and its run has what its first worker left.
    assert sorted(begun[name] for name in trials) == [1] * (NUM_TRIALS - 1) + [2]


def test_two_workers_share_a_search_and_run_no_trial_twice(
    train: Validation, tmp_path: Path
) -> None:
    with (
        child(search, train, str(tmp_path), "first") as first,
        child(search, train, str(tmp_path), "second") as second,
    ):
        for worker in (first, second):
            worker.join()
            assert worker.exitcode == 0
    begun = trainings(tmp_path)
    assert sorted(begun) == sorted(list_trials(train, str(tmp_path)))
    assert set(begun.values()) == {1}
    assert len(begun) == NUM_TRIALS
    assert (Path(search_uri(train, str(tmp_path))) / JOURNAL).exists()
