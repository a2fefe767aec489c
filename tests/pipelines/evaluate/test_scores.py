import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipelines.errors import DatasetError
from pipelines.evaluate.predictions import Predictions, from_table
from pipelines.evaluate.scores import Scores, Slice, reliability, score, slices, summarise
from pipelines.report.published import PUBLISHED, PublishedModel
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
    again = TypeAdapter(Scores).validate_python(stored)
    assert again.to_dict() == found.to_dict()
    assert again.intervals == found.intervals


def test_slices_hold_each_note_once() -> None:
    notes = drawn(500)
    found = slices(notes)
    assert list(found) == [
        "source",
        "velocity",
        "pitch_octave",
        "fundamental",
        "family",
    ]
    for parts in found.values():
        assert sum(part.num_notes for part in parts) == 500
        assert sum(part.num_correct for part in parts) == notes.correct.sum()


def test_slices_count_notes_and_instruments() -> None:
    notes = drawn(500)
    acoustic = notes.instrument_source_str == "acoustic"
    part = next(part for part in slices(notes)["source"] if part.name == "acoustic")
    assert part.num_notes == acoustic.sum()
    assert part.num_instruments == len(set(notes.instrument_str[acoustic]))
    assert part.accuracy == pytest.approx(notes.correct[acoustic].mean())
    each = [
        notes.correct[notes.instrument_str == name].mean()
        for name in set(notes.instrument_str[acoustic])
    ]
    assert part.instrument_accuracy == pytest.approx(np.mean(each))
    assert part.intervals
    assert part.accuracy
    assert part.intervals["accuracy"][0] < part.accuracy < part.intervals["accuracy"][1]


def test_slices_of_too_few_say_so_and_claim_nothing() -> None:
    notes = drawn(20)
    for part in slices(notes)["source"]:
        assert part.to_dict() == {
            "name": part.name,
            "num_notes": Counter(notes.instrument_source_str)[part.name],
            "num_instruments": part.num_instruments,
            "num_correct": part.num_correct,
            "too_few": True,
        }
        assert TypeAdapter(Slice).validate_python(part.to_dict()) == part


def test_slices_divide_pitches_by_octave_and_by_what_resampling_keeps() -> None:
    pitches = [59, 60, 71, 72, 83, 84, 107]
    found = slices(from_table(table_of(certain([0] * 7), [0] * 7, pitch=pitches)))
    octaves = {part.name: part.num_notes for part in found["pitch_octave"]}
    assert octaves == {"48-59": 1, "60-71": 2, "72-83": 2, "84-95": 1, "96-107": 1}
    # MIDI 83 is 987.8 Hz, 84 is 1,046.5 Hz.
    assert 440 * 2 ** ((83 - 69) / 12) < 1_000 < 440 * 2 ** ((84 - 69) / 12)
    fundamentals = {part.name: part.num_notes for part in found["fundamental"]}
    assert fundamentals == {"up to 1 kHz": 5, "above 1 kHz": 2}


def test_slices_order_velocities_as_numbers() -> None:
    found = slices(from_table(table_of(certain([0] * 3), [0] * 3, velocity=[100, 25, 127])))
    assert [part.name for part in found["velocity"]] == ["25", "100", "127"]


def test_reliability_has_bins_of_equal_mass_with_confidence_and_accuracy() -> None:
    notes = drawn(600)
    found = reliability(notes)
    assert [part.num_notes for part in found] == [40] * 15
    order = np.argsort(notes.probabilities.max(axis=1))
    for part, own in zip(found, order.reshape(15, 40), strict=True):
        assert part.confidence == pytest.approx(notes.probabilities.max(axis=1)[own].mean())
        assert part.accuracy == pytest.approx(notes.correct[own].mean())


@pytest.fixture(scope="module")
def notes() -> Predictions:
    return drawn(400)


@pytest.fixture(scope="module")
def summary(notes: Predictions) -> dict[str, Any]:
    return summarise(notes)


def test_summarise_is_of_the_kept_notes_and_beside_them_of_all(
    notes: Predictions, summary: dict[str, Any]
) -> None:
    kept = notes.take(notes.kept)
    assert 0 < len(kept) < len(notes)
    assert score(kept).to_dict().items() <= summary.items()
    assert summary["all_notes"] == score(notes).to_dict()


def test_summarise_sets_seen_and_unseen_instruments_apart(
    notes: Predictions, summary: dict[str, Any]
) -> None:
    kept = notes.take(notes.kept)
    assert summary["seen"] == score(kept.take(kept.instrument_seen)).to_dict()
    assert summary["unseen"] == score(kept.take(~kept.instrument_seen)).to_dict()
    assert summary["seen"]["num_scored"] + summary["unseen"]["num_scored"] == len(kept)


def test_summarise_says_by_null_that_no_instrument_is_unseen() -> None:
    assert summarise(drawn(60, instrument_seen=np.ones(60, bool)))["unseen"] is None


def test_summarise_is_json_of_a_known_format(summary: dict[str, Any]) -> None:
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert (summary["format_version"], summary["evaluation_version"]) == (3, 3)
    assert summary["method"]["num_resamples"] >= 2_000
    assert summary["method"]["num_calibration_bins"] == 15


@pytest.mark.parametrize("model", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_summarise_gives_the_published_figures(model: PublishedModel) -> None:
    matrix = np.array(model.confusion_matrix)
    labels, predicted = (np.repeat(axis.ravel(), matrix.ravel()) for axis in np.indices((10, 10)))
    found = summarise(from_table(table_of(certain(predicted), labels)))
    assert found["accuracy"] == model.accuracy
    assert found["confusion_matrix"] == [list(row) for row in model.confusion_matrix]
    for name, row in model.classification_report.items():
        printed = [float(f"{value:.2f}") for value in found["classification_report"][name]]
        assert tuple(printed) == row


def test_summarise_refuses_notes_of_which_none_is_kept() -> None:
    with pytest.raises(DatasetError, match="none of the 3 scored notes is kept; look at"):
        summarise(from_table(table_of(certain([0] * 3), [0] * 3, verdict=["silent"] * 3)))


def test_summarise_refuses_another_number_of_classes() -> None:
    with pytest.raises(DatasetError, match="expected predictions of 3 classes, found 10"):
        summarise(drawn(40), ("bass", "brass", "flute"))
