import pytest

from pipelines.studies.results import TrialResult, choose, converged_after, pareto_front


def trial(name: str, accuracy: float, seconds: float, parameters: int = 10) -> TrialResult:
    return TrialResult(
        name=name,
        model=name,
        change="",
        base=None,
        finding="",
        removes=False,
        num_samples=8_000,
        num_parameters=parameters,
        run_ids=("a",),
        accuracy=accuracy,
        interval=None,
        gain=None,
        gain_interval=None,
        gap=0.0,
        epoch_seconds=seconds,
        dead_units=None,
        converged_after=None,
    )


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([1.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05], None),
        ([1.0, 0.5, 0.499, 0.498, 0.497, 0.496, 0.4955], 2),
        ([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], 1),
        ([0.5, 0.5, 0.5, 0.5, 0.5], None),
    ],
)
def test_converged_after_is_the_first_epoch_that_five_more_hardly_improve(
    losses: list[float], epoch: int | None
) -> None:
    assert converged_after(losses) == epoch


def test_choose_takes_the_most_accurate_and_of_equals_the_smallest() -> None:
    trials = [trial("a", 0.8, 1), trial("b", 0.9, 1, 50), trial("c", 0.9, 1, 20)]
    assert choose(trials).name == "c"


def test_front_has_the_trials_that_no_other_beats_in_both() -> None:
    trials = [trial("slow", 0.9, 9), trial("quick", 0.5, 1), trial("beaten", 0.4, 2)]
    assert [one.name for one in pareto_front(trials, "epoch_seconds")] == ["quick", "slow"]
