import pytest

from pipelines.analysis.cost import fit_growth

LENGTHS = [1_000, 2_000, 4_000, 8_000]


@pytest.mark.parametrize(("power", "exponent"), [(0, 0), (0.5, 0.5), (1, 1), (2, 2)])
def test_growth_finds_the_power_of_a_series_without_noise(power: float, exponent: float) -> None:
    seconds = [3e-6 * length**power for length in LENGTHS]
    found = fit_growth(LENGTHS, [seconds] * 3)
    assert found.exponent == pytest.approx(exponent, abs=1e-9)
    assert found.interval == pytest.approx((exponent, exponent), abs=1e-9)


def test_growth_has_the_interval_of_a_t_distribution() -> None:
    found = fit_growth([1, 10], [[1, 10**slope] for slope in (0.9, 1.0, 1.1)])
    # Deviation 0.1 of three slopes; 4.3027 is the quantile 0.975 with two degrees of freedom.
    half = 4.3027 * 0.1 / 3**0.5
    assert found.exponent == pytest.approx(1)
    assert found.interval == pytest.approx((1 - half, 1 + half), abs=1e-4)


def test_growth_of_a_machine_that_slows_down_evenly_has_no_wider_interval() -> None:
    steady, slower = (
        [[1e-4 * n * k for n in LENGTHS] for k in by] for by in ((1, 1, 1), (1, 2, 3))
    )
    assert fit_growth(LENGTHS, slower).interval == pytest.approx(
        fit_growth(LENGTHS, steady).interval
    )


def test_growth_of_too_few_rounds_has_no_interval() -> None:
    assert fit_growth(LENGTHS, [LENGTHS] * 2).interval is None
