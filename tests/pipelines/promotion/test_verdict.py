import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigError
from pipelines.evaluate.comparison import compare
from pipelines.evaluate.predictions import Predictions, from_table
from pipelines.notes import CLASSES
from pipelines.promotion.verdict import damage_shares, data_alarms, first_verdict, judge
from pipelines.validate.verdicts import Validation
from tests.pipelines.evaluate.tables import certain, drawn, table_of

NUM_INSTRUMENTS = 100
NOTES_EACH = 6


def answers(wrong: set[int], *, num_instruments: int = NUM_INSTRUMENTS) -> Predictions:
    """Of a model that is right but for whole instruments; instrument i is of class i % 10."""
    instrument = np.repeat(np.arange(num_instruments), NOTES_EACH)
    label = instrument % len(CLASSES)
    predicted = np.where(np.isin(instrument, list(wrong)), (label + 1) % len(CLASSES), label)
    names = [f"instrument-{number:03d}" for number in instrument]
    return from_table(table_of(certain(predicted), label, instrument_str=names))


MIDDLING = set(range(0, NUM_INSTRUMENTS, 3))


def test_judge_promotes_what_is_surely_better() -> None:
    verdict = judge(answers(MIDDLING), answers(set()))
    assert verdict.outcome == "promoted"
    assert "the accuracy on the gate is 1.0000 where the champion's is 0.6600" in verdict.why
    assert not verdict.is_drop


def test_judge_keeps_the_champion_from_what_is_surely_worse() -> None:
    verdict = judge(answers(set()), answers(MIDDLING))
    assert (verdict.outcome, verdict.is_drop) == ("kept champion", True)


def test_judge_keeps_the_champion_where_nobody_can_tell() -> None:
    verdict = judge(answers({0, 1}), answers({2, 3}))
    assert (verdict.outcome, verdict.is_drop) == ("kept champion", False)
    assert "does not lie above" in verdict.why


def test_judge_keeps_the_champion_from_its_equal_unless_a_margin_is_given() -> None:
    assert judge(answers({0}), answers({0})).outcome == "kept champion"
    assert judge(answers({0}), answers({0}), margin=0.01).outcome == "promoted"


def test_judge_takes_within_a_margin_what_is_a_little_worse() -> None:
    champion, challenger = answers(set()), answers({0})
    assert judge(champion, challenger, margin=0.01).outcome == "kept champion"
    assert judge(champion, challenger, margin=0.2).outcome == "promoted"


def test_judge_keeps_the_champion_where_a_family_is_lost() -> None:
    brass = {i for i in range(NUM_INSTRUMENTS) if i % len(CLASSES) == CLASSES.index("brass")}
    others = set(range(NUM_INSTRUMENTS)) - brass
    verdict = judge(answers(others), answers(brass))
    assert verdict.outcome == "kept champion"
    assert "but brass (-1.0000 (-1.0000 to -1.0000)) lost more than 5 points" in verdict.why
    half = sorted(brass)[::2]
    assert judge(answers(others), answers(set(half))).outcome == "kept champion"
    # One instrument of ten: its interval reaches up to no loss at all.
    assert judge(answers(others), answers({half[0]})).outcome == "promoted"


@pytest.mark.parametrize("num_instruments", [2, 4])
def test_judge_tells_nothing_from_too_few_instruments(num_instruments: int) -> None:
    worst, best = (
        answers(wrong, num_instruments=num_instruments) for wrong in ({0, 1}, set[int]())
    )
    verdict = judge(worst, best)
    assert verdict.outcome == "kept champion"
    assert f"of {num_instruments} instruments are too few" in verdict.why
    assert not judge(best, worst).is_drop


def test_judge_refuses_other_notes_and_impossible_margins() -> None:
    with pytest.raises(ConfigError, match="not scored on the same notes"):
        judge(answers(set()), answers(set(), num_instruments=50))
    with pytest.raises(ConfigError, match="margin must be from 0 to below 1, got -"):
        judge(answers(set()), answers(set()), margin=-0.1)


def test_first_verdict_promotes_and_says_that_there_was_none() -> None:
    verdict = first_verdict(answers(MIDDLING))
    assert verdict.outcome == "promoted"
    assert "there was no champion; its accuracy is 0.6600 on the 600 notes" in verdict.why


@settings(max_examples=10)
@given(
    seeds=st.tuples(st.integers(0, 50), st.integers(51, 99)),
    strength=st.floats(0, 4),
    margins=st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
)
def test_judge_follows_the_interval_and_a_larger_margin_never_hurts(
    seeds: tuple[int, int], strength: float, margins: tuple[float, float]
) -> None:
    champion = drawn(model_seed=seeds[0])
    challenger = drawn(model_seed=seeds[1], strength=strength)
    small, large = sorted(margins)
    found = compare(champion, challenger)
    interval = found.every.figures["accuracy"].interval
    assert interval is not None
    verdict = judge(champion, challenger, margin=small)
    assert verdict.is_drop == (interval[1] < 0)
    if verdict.outcome == "promoted":
        assert interval[0] > -small
        assert judge(champion, challenger, margin=large).outcome == "promoted"
    elif interval[0] > -small:
        assert "lost more than 5 points" in verdict.why


def validation(*, quarantined: int = 0, **dropped: int) -> Validation:
    return Validation(
        manifest_uri="notes/a/manifest.json",
        manifest_digest="m",
        verdict_digest="v",
        uri="notes/a/validation/v",
        num_seen=1_000,
        num_kept=1_000 - sum(dropped.values()),
        num_quarantined=quarantined,
        dropped=dropped,
        families={},
        official="",
    )


def test_damage_shares_count_defects_and_not_what_is_left_out_by_plan() -> None:
    found = damage_shares(
        validation(silent=10, duplicate_audio=5, synth_lead=100, leaked=50, gate=200)
    )
    assert found == {"defective notes": 0.015, "damaged records": 0.0}
    assert damage_shares(validation(quarantined=250))["damaged records"] == 0.2


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (validation(), validation(silent=10), []),
        (
            validation(),
            validation(silent=11),
            ["defective notes of the train data rose"],
        ),
        (validation(silent=50), validation(silent=55), []),
        (validation(silent=50), validation(), []),
        (validation(), validation(quarantined=20), ["damaged records of the train data rose from"]),
        (validation(), validation(leaked=500, synth_lead=400), []),
    ],
)
def test_health_drops_says_what_rose(
    before: Validation, after: Validation, said: list[str]
) -> None:
    found = data_alarms({"train": before}, {"train": after})
    assert len(found) == len(said)
    assert all(is_.startswith(wanted) for is_, wanted in zip(found, said, strict=True))


def test_health_drops_compares_only_parts_that_both_have() -> None:
    assert data_alarms({"train": validation()}, {"valid": validation(silent=900)}) == []
