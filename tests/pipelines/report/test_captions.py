import pytest

from pipelines.report.captions import caption, summarise
from pipelines.report.selection import Cell, Pick


def pick_of(true: float, other: float) -> Pick:
    return Pick(0, "bass_acoustic_001-060-100", true, "guitar", other)


@pytest.mark.parametrize(
    ("rule", "nearest", "words"),
    [
        ("sure", pick_of(0.74, 0.2), "none above 0.9; highest 0.740"),
        ("missed", pick_of(0.23, 0.5), "none below 0.1; lowest 0.230"),
        ("ahead", pick_of(0.6, 0.3), "none; nearest ahead by 0.300"),
        ("ahead", pick_of(0.3, 0.6), "none; nearest behind by 0.300"),
        ("behind", pick_of(0.6, 0.3), "none; nearest ahead by 0.300"),
        ("sure", None, "no kept note of this family"),
    ],
)
def test_summarise_says_what_came_nearest_to_an_empty_cell(
    rule: str, nearest: Pick | None, words: str
) -> None:
    assert summarise(Cell(rule, 0, (), nearest)) == words


def test_summarise_counts_what_qualifies_beyond_what_is_shown() -> None:
    picks = (pick_of(0.95, 0.02), pick_of(0.94, 0.02))
    assert summarise(Cell("sure", 1_234, picks, None)) == "1,234 notes"
    assert summarise(Cell("sure", 1, picks[:1], None)) == "1 note"


def test_caption_names_both_classes() -> None:
    assert caption(pick_of(0.4801, 0.4699), "bass") == "bass 0.480, guitar 0.470"
