import pytest

from pipelines.evaluate.scores import score
from pipelines.report import formats
from tests.pipelines.evaluate.tables import drawn


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (0.0004, "< 0.001"), (0.5, "0.500"), (0.9996, "> 0.999"), (1.0, "1.000")],
)
def test_probability_is_certain_only_where_the_number_is(value: float, text: str) -> None:
    assert formats.probability(value) == text


def test_interval_says_why_there_is_none() -> None:
    scores = score(drawn(100))
    low, high = scores.intervals["accuracy"]
    assert formats.interval(scores, "accuracy") == f"{low:.4f} to {high:.4f}"
    assert formats.figure(scores, "accuracy") == f"{scores.accuracy:.4f}"
    assert formats.interval(scores, "ece") == "\N{EN DASH}"
    assert formats.interval(score(drawn(20)), "accuracy") == "too few"
    assert formats.interval(None, "accuracy") == "\N{EN DASH}"
    assert formats.figure(None, "accuracy") == "no notes"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 00 s"),
        (78.4, "1 min 18 s"),
        (3599.6, "1 h 00 min"),
        (3725, "1 h 02 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


def test_count_and_shape_set_thousands_apart() -> None:
    assert formats.count(8838158) == "8,838,158"
    assert formats.shape([7999, 64]) == "7,999 \N{MULTIPLICATION SIGN} 64"


def test_between_is_of_one_number_or_of_two() -> None:
    assert (formats.between([1_200, 1_200]), formats.between([9, 7, 8])) == ("1,200", "7 to 9")


def test_score_has_the_decimals_of_the_published_ones() -> None:
    assert formats.score(0.410400390625) == "0.4104"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (1, "< 1"), (5, "< 1"), (500, "50"), (999, "> 99"), (1000, "100")],
)
def test_share_shows_some_as_some(number: int, text: str) -> None:
    assert formats.share(number, 1000) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("bass_acoustic_000-060-100", "bass_acoustic_000-060-100"),
        ("<b>\N{SNOWMAN}", "<b>\N{SNOWMAN}"),
        ("a\x00b\n\u202ec", "a\\x00b\\n\\u202ec"),
        ("x" * 121, "x" * 120 + "\N{HORIZONTAL ELLIPSIS}"),
    ],
)
def test_shown_spells_out_what_cannot_be_seen(text: str, seen: str) -> None:
    assert formats.shown(text) == seen
