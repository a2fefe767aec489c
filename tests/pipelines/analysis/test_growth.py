import pytest

from pipelines.analysis.cost import fit_growth

LENGTHS = [1_000, 2_000, 4_000, 8_000]


@pytest.mark.parametrize(("power", "exponent"), [(0, 0), (0.5, 0.5), (1, 1), (2, 2)])
def test_growth_finds_the_power_of_a_series_without_noise(power: float, exponent: float) -> None:
    seconds = [3e-6 * length**power for length in LENGTHS]
    found = fit_growth(LENGTHS, [seconds] * 3)
    assert found.exponent == pytest.approx(exponent, abs=1e-9)
    assert found.interval == pytest.approx((exponent, exponent), abs=1e-9)


def test_growth_of_three_rounds_by_hand() -> None:
    # Slopes 0.9, 1.0 and 1.1: their standard deviation is 0.1, and t(0.975, 2) is 4.3027.
    seconds = [[1.0, 2.0**slope] for slope in (0.9, 1.0, 1.1)]
    growth = fit_growth([1_000, 2_000], seconds)
    half = 4.3027 * 0.1 / 3**0.5
    assert growth.interval == pytest.approx((1 - half, 1 + half), abs=1e-4)


def test_growth_of_a_machine_that_slows_down_evenly_has_no_wider_interval() -> None:
    steady, slower = (
        [[1e-4 * n * k for n in LENGTHS] for k in by] for by in ((1, 1, 1), (1, 2, 3))
    )
    assert fit_growth(LENGTHS, slower).interval == pytest.approx(
        fit_growth(LENGTHS, steady).interval
    )


def test_growth_of_too_few_rounds_has_no_interval() -> None:
    assert fit_growth(LENGTHS, [LENGTHS] * 2).interval is None
