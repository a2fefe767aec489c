import numpy as np
import pytest
from scipy import stats

from pipelines.evaluate.bootstrap import (
    draw_instruments,
    interval,
    resample_kinds,
    resample_means,
)

INSTRUMENT = np.array([0] * 2 + [1] * 12 + [2] * 5 + [3])
KIND = np.array([0, 2] + [1, 1, 2, 0] * 3 + [0, 0, 0, 1, 2] + [1])


def slow_resamples(
    num_resamples: int, seed: int
) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Positions of the drawn notes: one instrument, then one note, after the other."""
    rng = np.random.default_rng(seed)
    own = [np.flatnonzero(which == INSTRUMENT) for which in range(4)]
    return [
        np.concatenate([rng.choice(own[which], len(own[which])) for which in rng.integers(0, 4, 4)])
        for _ in range(num_resamples)
    ]


def test_draw_instruments_draws_as_many_as_there_are() -> None:
    drawn = draw_instruments(7, np.random.default_rng(0), num_resamples=5_000)
    assert (drawn.sum(axis=1) == 7).all()
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.06)


def test_resample_kinds_draws_as_notes_drawn_one_by_one() -> None:
    found = resample_kinds(INSTRUMENT, KIND, 3, num_resamples=4_000)
    slow = [np.bincount(KIND[notes], minlength=3) for notes in slow_resamples(4_000, seed=1)]
    for kind in range(3):
        of_kind = [counts[kind] for counts in slow]
        assert stats.ks_2samp(found.totals[:, kind], of_kind).pvalue > 0.001
    shares = found.totals[:, 1] / found.totals.sum(axis=1)
    slow_shares = [counts[1] / counts.sum() for counts in slow]
    assert stats.ks_2samp(shares, slow_shares).pvalue > 0.001


def test_resample_kinds_counts_each_instrument_alike_in_shares() -> None:
    found = resample_kinds(INSTRUMENT, KIND, 3, num_resamples=4_000).shares
    np.testing.assert_allclose(found.sum(axis=1), 1)
    own = [KIND[which == INSTRUMENT] for which in range(4)]
    each = [np.bincount(kinds, minlength=3) / len(kinds) for kinds in own]
    np.testing.assert_allclose(found.mean(axis=0), np.mean(each, axis=0), atol=0.01)


def test_resample_means_draws_as_notes_drawn_one_by_one() -> None:
    rng = np.random.default_rng(5)
    # Skewed like losses, and another mean for each of seven instruments of 4 to 40 notes.
    sizes = np.array([4, 10, 15, 20, 25, 30, 40])
    instrument = np.repeat(np.arange(7), sizes)
    values = rng.exponential(1 + instrument / 7)
    means = resample_means(instrument, values[:, np.newaxis], num_resamples=4_000)[:, 0]
    own = [values[instrument == which] for which in range(7)]
    slow = [
        np.concatenate([rng.choice(own[i], len(own[i])) for i in rng.integers(0, 7, 7)]).mean()
        for _ in range(4_000)
    ]
    assert stats.ks_2samp(means, slow).pvalue > 0.001
    ends = (0.025, 0.975)
    np.testing.assert_allclose(np.quantile(means, ends), np.quantile(slow, ends), rtol=0.03)


def test_resample_means_of_a_constant_is_the_constant() -> None:
    means = resample_means(INSTRUMENT, np.full((len(INSTRUMENT), 1), 0.5), num_resamples=50)
    np.testing.assert_array_equal(means, 0.5)


def test_resamples_are_the_same_for_one_seed_only() -> None:
    first, again = (resample_kinds(INSTRUMENT, KIND, 3).totals for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != resample_kinds(INSTRUMENT, KIND, 3, seed=1).totals).any()


def test_resamples_of_notes_all_alike_within_instruments_vary_by_instrument_only() -> None:
    # Twice as many notes of each instrument say nothing new.
    instrument, right = np.repeat(np.arange(10), 8), np.repeat(np.arange(10) % 2, 8)
    once, twice = (
        resample_kinds(np.repeat(instrument, times), np.repeat(right, times), 2).shares[:, 1]
        for times in (1, 2)
    )
    np.testing.assert_allclose(once, twice)


@pytest.mark.parametrize("num_instruments", [5, 10, 50, 1_000])
def test_interval_is_wider_the_fewer_the_instruments(num_instruments: int) -> None:
    samples = np.random.default_rng(0).normal(size=400_000)
    found = interval(samples, num_instruments)
    assert found
    # What Student's t would give of means, from a bootstrap's spread, which is too small.
    factor = np.sqrt(num_instruments / (num_instruments - 1))
    wide = stats.t.ppf(0.975, num_instruments - 1) * factor
    np.testing.assert_allclose(found, [-wide, wide], rtol=0.05)


def test_interval_is_none_without_spread() -> None:
    assert interval(np.full(100, 1.0), 20) is None


@pytest.mark.parametrize(("num_instruments", "mean_notes"), [(12, 30), (53, 19)])
def test_interval_holds_the_truth_where_one_by_note_does_not(
    num_instruments: int, mean_notes: int
) -> None:
    rng, num_studies, expected = np.random.default_rng(5), 150, 0.7
    held, held_by_note = 0, 0
    for _ in range(num_studies):
        sizes = rng.poisson(mean_notes, num_instruments) + 1
        # Instruments differ as in real runs: a standard deviation of 0.25 around 0.7.
        share = rng.beta(1.6 * expected, 1.6 * (1 - expected), num_instruments)
        instrument = np.repeat(np.arange(num_instruments), sizes)
        right = (rng.random(len(instrument)) < share[instrument]).astype(np.int64)
        totals = resample_kinds(instrument, right, 2, num_resamples=500).totals
        ends = interval(totals[:, 1] / totals.sum(axis=1), num_instruments)
        by_note = stats.binomtest(int(right.sum()), len(right)).proportion_ci()
        held += bool(ends and ends[0] <= expected <= ends[1])
        held_by_note += bool(by_note.low <= expected <= by_note.high)
    # 150 studies of coverage 0.95 give fewer than 0.89 once in a thousand times.
    assert held / num_studies >= 0.89
    assert held_by_note / num_studies < 0.7
