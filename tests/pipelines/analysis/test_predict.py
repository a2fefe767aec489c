import numpy as np
import pytest

from pipelines.analysis.answers import compare_answers, score_answers
from pipelines.analysis.features import is_constant, predict_family


def test_predict_learns_a_feature_that_tells_the_family() -> None:
    labels = np.arange(400) % 4
    values = labels[:, np.newaxis].astype(float)
    assert (predict_family(values, labels, values) == labels).all()


def test_predict_gives_the_commonest_label_where_the_feature_never_varies() -> None:
    labels = np.array([2, 2, 5])
    assert predict_family(np.zeros((3, 10)), labels, np.ones((4, 10))).tolist() == [2] * 4


def test_predict_of_noise_is_no_better_than_chance() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=2_000)
    found = predict_family(rng.random((2_000, 1)), labels, rng.random((2_000, 1)))
    assert (found == labels).mean() < 0.35


def test_is_constant_sees_one_other_value() -> None:
    values = np.zeros((5, 2))
    assert is_constant(values)
    values[4, 1] = 1
    assert not is_constant(values)


def test_feature_score_has_an_interval_around_the_accuracy() -> None:
    rng = np.random.default_rng(0)
    found = score_answers("pitch", rng.random(300) < 0.4, np.arange(300) % 20)
    assert found.interval is not None
    assert found.interval[0] < found.accuracy < found.interval[1]


@pytest.mark.parametrize(("num_notes", "num_instruments"), [(29, 10), (100, 4)])
def test_feature_score_claims_nothing_of_few_notes(num_notes: int, num_instruments: int) -> None:
    right = np.arange(num_notes) % 2 == 0
    assert score_answers("pitch", right, np.arange(num_notes) % num_instruments).interval is None


def test_feature_gain_is_surer_of_paired_answers_than_their_own_scores_are() -> None:
    rng = np.random.default_rng(1)
    instrument = np.arange(600) % 30
    before = rng.random(30)[instrument] < 0.5
    after = before | (rng.random(600) < 0.1)
    gain = compare_answers("spectrum", "metadata", before, after, instrument)
    alone = score_answers("spectrum", before, instrument)
    assert gain.interval is not None
    assert alone.interval is not None
    assert 0 < gain.interval[0] < gain.difference < gain.interval[1]
    assert np.ptp(gain.interval) < np.ptp(alone.interval) / 3


def test_feature_gain_of_equal_answers_has_no_spread() -> None:
    right = np.arange(100) % 3 > 0
    found = compare_answers("spectrum", "metadata", right, right, np.arange(100) % 10)
    assert (found.difference, found.interval) == (0, None)
