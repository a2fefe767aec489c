from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.report import published_comparison as comparison
from pipelines.report.published import PUBLISHED
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


def trained_on(run: RunResults, num_records: int) -> RunResults:
    train = replace(
        run.record.datasets["train"],
        num_seen=num_records,
        num_kept=num_records - 11,
        num_quarantined=0,
    )
    datasets = {**run.record.datasets, "train": train}
    return replace(run, record=replace(run.record, datasets=datasets))


def test_difference_is_drawn_where_official_notes_trained_and_tested(run: RunResults) -> None:
    official = trained_on(with_counts(run, PUBLISHED["preliminary"].confusion_matrix), 12_678)
    (model,) = official.models
    found = comparison.difference(official, model)
    assert found is not None
    assert found == pytest.approx(model.every.accuracy - PUBLISHED["preliminary"].accuracy)
    said = comparison.describe(official)
    assert "By count the test set is the official one, 4,096 notes" in said
    assert f"ours minus published: preliminary {100 * found:+.1f} points" in said


def test_no_difference_is_drawn_where_other_notes_trained(run: RunResults) -> None:
    other = trained_on(with_counts(run, PUBLISHED["preliminary"].confusion_matrix), 289_205)
    assert comparison.difference(other, other.models[0]) is None
    assert "but different notes trained: 289,205 records here" in comparison.describe(other)
    assert comparison.difference(run, run.models[0]) is None


def test_describe_is_not_deceived_by_the_total_alone(run: RunResults) -> None:
    # As many notes, but two families swapped.
    first, second, *rest = PUBLISHED["preliminary"].confusion_matrix
    assert "different notes: 4,096" in comparison.describe(with_counts(run, (second, first, *rest)))


def test_describe_is_silent_where_nothing_is_published(tmp_path: Path) -> None:
    assert not comparison.describe(load_results(write_run(tmp_path, models={"tiny": 1.0})))
