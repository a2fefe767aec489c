from collections import Counter

import numpy as np
import pytest

from pipelines.evaluate.predictions import from_table
from pipelines.evaluate.slices import Slice, reliability, slices
from tests.pipelines.evaluate.tables import certain, drawn, table_of


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
    for of in found.values():
        assert sum(part.num_notes for part in of) == 500
        assert sum(part.num_correct for part in of) == notes.correct.sum()


def test_slices_count_notes_and_instruments() -> None:
    notes = drawn(500)
    acoustic = notes.instrument_source_str == "acoustic"
    part = next(of for of in slices(notes)["source"] if of.name == "acoustic")
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
        assert Slice.from_dict(part.to_dict()) == part


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
