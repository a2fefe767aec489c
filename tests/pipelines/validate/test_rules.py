from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.note_schema import SCHEMA
from pipelines.notes import FAMILIES, SOURCES
from pipelines.validate.rules import COLUMNS, RULES, find_reasons
from tests.pipelines.datasets import Row, row


def verdicts(*rows: Row) -> list[str | None]:
    schema = pa.schema([SCHEMA.field(name) for name in COLUMNS])
    return find_reasons(pa.Table.from_pylist([{n: r[n] for n in COLUMNS} for r in rows], schema))


def named(number: int = 0, **changes: Any) -> Row:
    """A note whose name says what its other columns say."""
    made = row(number) | changes
    family, source = made["instrument_family_str"], made["instrument_source_str"]
    instrument = f"{family}_{source}_{number:03d}"
    note_str = f"{instrument}-{made['pitch']:03d}-{made['velocity']:03d}"
    return made | {"instrument_str": instrument, "note_str": note_str} | changes


def of_family(family: int, number: int = 0, **changes: Any) -> Row:
    given = {"instrument_family": family, "instrument_family_str": FAMILIES[family]}
    return named(number, **given | changes)


BROKEN: dict[str, tuple[Row, str | None]] = {
    "sound": (row(0), None),
    "synth_lead": (of_family(9), "synth_lead"),
    "rate of 44,100 Hz": (row(0, sample_rate=44_100), "sample_rate"),
    "family 9 by another name": (named(instrument_family=9), "family_mismatch"),
    "synth_lead by another number": (
        named(instrument_family_str="synth_lead"),
        "family_mismatch",
    ),
    "family 11": (row(0, instrument_family=11), "family_mismatch"),
    "family -1": (row(0, instrument_family=-1), "family_mismatch"),
    "unknown family": (row(0, instrument_family_str="theremin"), "family_mismatch"),
    "source by another name": (named(instrument_source=1), "family_mismatch"),
    "source 3": (row(0, instrument_source=3), "family_mismatch"),
    "another note's name": (row(0, note_str="bass_acoustic_000-021-100"), "name_mismatch"),
    "another velocity": (row(0, velocity=99), "name_mismatch"),
    "another pitch": (row(0, pitch=21), "name_mismatch"),
    "pitch without zeros": (row(0, note_str="bass_acoustic_000-20-100"), "name_mismatch"),
    "another instrument": (row(0, instrument_str="bass_acoustic_001"), "name_mismatch"),
    "instrument of another family": (
        row(0, instrument_str="vocal_acoustic_000", note_str="vocal_acoustic_000-020-100"),
        "name_mismatch",
    ),
    "instrument of another source": (
        row(0, instrument_str="bass_electronic_000", note_str="bass_electronic_000-020-100"),
        "name_mismatch",
    ),
    "instrument without number": (
        row(0, instrument_str="bass_acoustic", note_str="bass_acoustic-020-100"),
        "name_mismatch",
    ),
    "pitch 0": (named(pitch=0), None),
    "pitch 127": (named(pitch=127), None),
    "pitch 128": (named(pitch=128), "pitch_range"),
    "pitch -1": (named(pitch=-1), "pitch_range"),
    "velocity 1": (named(velocity=1), None),
    "velocity 127": (named(velocity=127), None),
    "velocity 0": (named(velocity=0), "velocity_range"),
    "velocity 128": (named(velocity=128), "velocity_range"),
    "silent": (row(0, peak=0.0), "silent"),
    "just silent": (row(0, peak=0.99e-4), "silent"),
    "just not silent": (row(0, peak=1.01e-4), None),
}


@pytest.mark.parametrize(("note", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_reasons_of_a_single_note(note: Row, reason: str | None) -> None:
    assert verdicts(row(1), note, row(2)) == [None, reason, None]


def test_reasons_keep_a_sound_note_of_every_family_and_source() -> None:
    for source, source_str in enumerate(SOURCES):
        for family in [*range(9), 10]:
            sounding = of_family(family, instrument_source=source, instrument_source_str=source_str)
            assert verdicts(sounding) == [None]


ORDER: list[Row] = [
    {"instrument_family": 9, "instrument_family_str": "synth_lead"},
    {"sample_rate": 8_000},
    {"instrument_source": 2},
    {"instrument_str": "bass"},
    {"pitch": 200},
    {"velocity": 0},
    {"peak": 0.0},
]
"""What breaks each rule of a single note, in the order in which they count."""


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_reasons_count_the_first_rule_that_is_broken(first: int) -> None:
    changes = {key: value for change in ORDER[first:] for key, value in change.items()}
    # All names are right, unless the rule of names is among the broken ones.
    broken = named(**changes)
    assert verdicts(broken) == [list(RULES)[first]]


def test_rules_are_asked_in_the_order_that_is_promised() -> None:
    assert list(RULES) == [
        "synth_lead",
        "sample_rate",
        "family_mismatch",
        "name_mismatch",
        "pitch_range",
        "velocity_range",
        "silent",
        "duplicate_note",
        "duplicate_audio",
    ]


A, B, C = "audio a", "audio b", "audio c"


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        pytest.param(
            [row(0, audio_digest=A), row(1), row(0, audio_digest=B), row(0, audio_digest=C)],
            [None, None, "duplicate_note", "duplicate_note"],
            id="a name again: the first stays",
        ),
        pytest.param(
            [row(0, audio_digest=A), row(10, audio_digest=A), row(20, audio_digest=A)],
            [None, "duplicate_audio", "duplicate_audio"],
            id="one family: the first stays",
        ),
        pytest.param(
            [row(0, audio_digest=A), row(1, audio_digest=A), row(2)],
            ["duplicate_audio", "duplicate_audio", None],
            id="two families: none stays",
        ),
        pytest.param(
            [row(0, audio_digest=A), row(10, audio_digest=A), row(1, audio_digest=A)],
            ["duplicate_audio"] * 3,
            id="two of one family and one of another: none stays",
        ),
        pytest.param(
            [row(0, audio_digest=A), row(0, audio_digest=A)],
            [None, "duplicate_note"],
            id="name and audio again: the name counts",
        ),
        pytest.param(
            [row(0, peak=0.0), row(0), row(0, audio_digest=B)],
            ["silent", None, "duplicate_note"],
            id="a dropped note repeats no name",
        ),
        pytest.param(
            [of_family(9, 3, audio_digest=A), row(0, audio_digest=A)],
            ["synth_lead", None],
            id="a dropped note repeats no audio",
        ),
        pytest.param(
            [row(0, audio_digest=A), row(0, audio_digest=B), row(1, audio_digest=B)],
            [None, "duplicate_note", None],
            id="a repeated name contradicts no audio",
        ),
        pytest.param(
            [row(0, sample_rate=1, audio_digest=A), row(1, audio_digest=A)],
            ["sample_rate", None],
            id="a dropped note contradicts no audio",
        ),
    ],
)
def test_reasons_of_notes_together(notes: list[Row], expected: list[str | None]) -> None:
    assert verdicts(*notes) == expected


def test_reasons_of_no_note() -> None:
    assert verdicts() == []


@given(
    st.lists(
        st.builds(
            named,
            st.integers(0, 12),
            audio_digest=st.sampled_from([A, B, C, "d", "e"]),
            peak=st.sampled_from([0.0, 0.5]),
            pitch=st.sampled_from([20, 60, 128]),
        ),
        max_size=12,
    )
)
def test_reasons_leave_names_and_audio_that_are_unique(notes: list[Row]) -> None:
    found = verdicts(*notes)
    assert len(found) == len(notes)
    kept = [note for note, reason in zip(notes, found, strict=True) if reason is None]
    assert len({note["note_str"] for note in kept}) == len(kept)
    assert len({note["audio_digest"] for note in kept}) == len(kept)
    assert verdicts(*kept) == [None] * len(kept)
