import json

import numpy as np
import pytest

from pipelines.evaluate.predictions import from_table
from pipelines.evaluate.scores import Scores, score
from tests.pipelines.evaluate.tables import certain, drawn, drawn_table, table_of

FIGURES = ("accuracy", "instrument_accuracy", "macro_f1", "weighted_f1", "nll", "brier")


def test_score_averages_over_instruments() -> None:
    # Ten notes of an instrument that is right on all, two of one that is right on one.
    names = ["many"] * 10 + ["few"] * 2
    found = score(from_table(table_of(certain([0] * 11 + [1]), [0] * 12, instrument_str=names)))
    assert found.accuracy == pytest.approx(11 / 12)
    assert found.instrument_accuracy == pytest.approx((1 + 1 / 2) / 2)
    assert (found.num_scored, found.num_instruments) == (12, 2)


def test_score_gives_an_interval_around_each_figure() -> None:
    found = score(drawn(400))
    assert set(found.intervals) == set(FIGURES)
    for figure, (low, high) in found.intervals.items():
        assert low < getattr(found, figure) < high


@pytest.mark.parametrize(
    ("num_notes", "num_instruments", "too_few"),
    [(29, 5, True), (30, 5, False), (30, 4, True), (300, 4, True)],
)
def test_score_claims_nothing_of_too_few(
    num_notes: int, num_instruments: int, too_few: bool
) -> None:
    instrument = np.arange(num_notes) % num_instruments
    names = [f"instrument {which}" for which in instrument]
    predicted = np.arange(num_notes) // num_instruments % 2
    found = score(from_table(table_of(certain(predicted), instrument // 3, instrument_str=names)))
    assert (found.num_scored, found.num_instruments) == (num_notes, num_instruments)
    assert found.too_few is too_few
    assert ("accuracy" in found.intervals) is not too_few


def test_score_has_no_interval_where_every_note_is_right() -> None:
    labels = np.arange(60) % 10
    found = score(from_table(table_of(certain(labels), labels)))
    assert (found.accuracy, found.too_few, dict(found.intervals)) == (1.0, False, {})


def test_score_does_not_depend_on_the_order_of_rows() -> None:
    table = drawn_table(300)
    shuffled = table.take(np.random.default_rng(0).permutation(300))
    assert score(from_table(shuffled)).to_dict() == score(from_table(table)).to_dict()


def test_score_of_notes_alike_within_instruments_is_as_unsure_as_of_one_note_each() -> None:
    # 40 instruments, every other one right: 20 notes of each say no more than one.
    labels = np.repeat(np.arange(40) % 10, 20)
    right = np.repeat(np.arange(40) // 10 % 2, 20)
    names = [f"instrument {which:02d}" for which in np.repeat(np.arange(40), 20)]
    table = table_of(certain(np.where(right, labels, (labels + 1) % 10)), labels)
    table = table.set_column(table.column_names.index("instrument_str"), "instrument_str", [names])
    low, high = score(from_table(table)).intervals["accuracy"]
    # 1.96 standard errors of 40 independent answers, where 800 would give 0.07.
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 40**0.5, rel=0.1)


def test_scores_survive_json() -> None:
    found = score(drawn(100))
    stored = json.loads(json.dumps(found.to_dict() | {"beside": 1}))
    again = Scores.from_dict(stored)
    assert again.to_dict() == found.to_dict()
    assert again.intervals == found.intervals
