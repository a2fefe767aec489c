from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.report import comparison
from pipelines.report.published import PRELIMINARY
from pipelines.report.results import RunResults, load_results
from tests.pipelines.report.run_folder import write_run


@pytest.fixture
def run(tmp_path: Path) -> RunResults:
    return load_results(write_run(tmp_path, models={"preliminary": 1.0}))


def with_counts(run: RunResults, matrix: tuple[tuple[int, ...], ...]) -> RunResults:
    (model,) = run.models
    num_scored = sum(map(sum, matrix))
    every = replace(model.every, confusion_matrix=matrix, num_scored=num_scored)
    return replace(run, models=(replace(model, every=every),))


def test_describe_says_that_the_notes_are_different(run: RunResults) -> None:
    assert "different notes: 60 test notes here, the official 4,096 there" in comparison.describe(
        run
    )


def test_describe_says_that_the_official_counts_match(run: RunResults) -> None:
    official = with_counts(run, PRELIMINARY.confusion_matrix)
    assert "our test set is the official one: 4,096 notes" in comparison.describe(official)


def test_describe_is_not_deceived_by_the_total_alone(run: RunResults) -> None:
    # As many notes, but two families swapped.
    first, second, *rest = PRELIMINARY.confusion_matrix
    assert "different notes: 4,096" in comparison.describe(with_counts(run, (second, first, *rest)))


def test_describe_is_silent_where_nothing_is_published(tmp_path: Path) -> None:
    assert not comparison.describe(load_results(write_run(tmp_path, models={"tiny": 1.0})))
