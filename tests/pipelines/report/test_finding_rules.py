import numpy as np
import pytest

from pipelines.evaluate.bootstrap import Interval
from pipelines.report import finding_rules as rules
from pipelines.report.finding_rules import Verdict

YES: Verdict = "confirmed"
NO: Verdict = "contradicted"
OPEN: Verdict = "undecided"


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([YES, YES], YES),
        ([YES, OPEN], OPEN),
        ([YES, NO], NO),
        ([OPEN, NO], NO),
        ([], OPEN),
    ],
)
def test_all_of_is_contradicted_by_one_part(parts: list[Verdict], whole: Verdict) -> None:
    assert rules.all_of(parts) == whole


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [((0.01, 0.2), YES), ((-0.2, -0.01), NO), ((-0.1, 0.1), OPEN), ((0, 0.1), OPEN), (None, OPEN)],
)
def test_is_positive_takes_the_whole_interval(ends: Interval | None, verdict: Verdict) -> None:
    assert rules.is_positive(ends) == verdict


@pytest.mark.parametrize(
    ("ends", "others", "verdict"),
    [
        ((0.6, 0.7), (0.2, 0.5), YES),
        ((0.2, 0.5), (0.6, 0.7), NO),
        ((0.4, 0.6), (0.5, 0.7), OPEN),
        ((0.4, 0.6), None, OPEN),
    ],
)
def test_is_above_compares_intervals_as_wholes(
    ends: Interval, others: Interval | None, verdict: Verdict
) -> None:
    assert rules.is_above(ends, others) == verdict


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((0.95, 1.05), YES),
        ((0.9, 1.1), YES),
        ((1.15, 1.4), NO),
        ((0.3, 0.8), NO),
        ((0.95, 1.2), OPEN),
        ((0.5, 1.5), OPEN),
        (None, OPEN),
    ],
)
def test_is_proportional_wants_the_interval_near_1(ends: Interval | None, verdict: Verdict) -> None:
    assert rules.is_proportional(ends) == verdict


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [((-0.01, 0.03), YES), ((0.11, 0.24), NO), ((-0.04, 0.15), OPEN), (None, OPEN)],
)
def test_is_little_asks_whether_a_gain_is_below_5_points(
    gain: Interval | None, verdict: Verdict
) -> None:
    assert rules.is_little(gain) == verdict


@pytest.mark.parametrize(
    ("ran", "verdict"), [([32, 16], YES), ([32, 32], OPEN), ([64], OPEN), ([], OPEN)]
)
def test_was_reduced_is_never_contradicted(ran: list[int], verdict: Verdict) -> None:
    assert rules.was_reduced(32, ran) == verdict


@pytest.mark.parametrize(("num_invalid", "verdict"), [(0, OPEN), (1, NO), (40, NO)])
def test_stops_training_is_contradicted_by_one_record(num_invalid: int, verdict: Verdict) -> None:
    assert rules.stops_training(num_invalid) == verdict


def test_times_longer_holds_the_ratio_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    before, after = (scale * np.exp(rng.normal(0, 0.1, (400, 9))) for scale in (2, 5))
    found = map(rules.times_longer, before.tolist(), after.tolist())
    assert 0.92 < np.mean([ends[0] < 2.5 < ends[1] for ends in found if ends]) < 0.98


def test_times_longer_needs_repeats_but_no_spread() -> None:
    assert rules.times_longer([1.0] * 3, [4.0] * 3) == pytest.approx((4, 4))
    assert rules.times_longer([1.0, 1.0], [4.0] * 3) is None


def test_rise_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    counts = rng.binomial(200, [0.3, 0.45], (1_000, 2)) / 200
    found = [rules.rise(*pair, num_notes=200, widening=1) for pair in counts.tolist()]
    assert 0.93 < np.mean([low < 0.15 < high for low, high in found]) < 0.97


def test_rise_has_an_interval_where_no_answer_was_wrong() -> None:
    low, high = rules.rise(1.0, 1.0, num_notes=50, widening=2)
    assert low < 0 < high
    assert high == pytest.approx(2 * rules.rise(1.0, 1.0, num_notes=50, widening=1)[1])


def test_widening_is_the_ratio_of_widths_and_1_at_least() -> None:
    error = rules.standard_error(0.5, num_notes=100)
    half = 1.959964 * error
    assert rules.widening((0.5 - 3 * half, 0.5 + 3 * half), error=error) == pytest.approx(3)
    assert rules.widening((0.49, 0.51), error=error) == 1
    assert rules.widening((0.9, 1.0), error=0.0) == 1
