import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines.convert.job import convert
from pipelines.convert.shards.plan import Parameters
from pipelines.errors import ConfigError, DatasetError, FormatError, ShardError
from pipelines.notes import FAMILIES
from pipelines.validate.verdicts import (
    Validation,
    check_dropped,
    load_reasons,
    load_validation,
    validate,
)
from tests.pipelines.convert.records import floats, frame, note, sound, texts
from tests.pipelines.datasets import Row, row, store

LEAD = {
    "instrument_family": 9,
    "instrument_family_str": "synth_lead",
    "instrument_str": "synth_lead_acoustic_003",
    "note_str": "synth_lead_acoustic_003-023-100",
}


def mixed() -> list[Row]:
    """Ten notes: a synth_lead, a silent one, one name twice, one audio in two families."""
    notes = [row(number) for number in range(10)]
    notes[3] |= LEAD
    notes[4] |= {"peak": 0.0}
    notes[6] = row(5, audio_digest="another", source_offset=notes[6]["source_offset"])
    notes[9] |= {"audio_digest": notes[8]["audio_digest"]}
    return notes


MIXED = [None, None, None, "synth_lead", "silent", None, "duplicate_note", None] + [
    "duplicate_audio"
] * 2


def stored(tmp_path: Path, rows: list[Row], file_name: str = "notes.tfrecord") -> str:
    return store(tmp_path / "notes/id", rows, notes_per_shard=4, file_name=file_name)


def validation(**changes: Any) -> Validation:
    return dataclasses.replace(
        Validation(
            manifest_uri="/root/notes/id/manifest.json",
            manifest_digest="m",
            verdict_digest="v",
            uri="/root/notes/id/validation/v",
            num_seen=100,
            num_kept=100,
            num_quarantined=0,
            dropped={},
            families={"bass": 100},
            official="",
        ),
        **changes,
    )


def test_validate_counts_every_note_once(tmp_path: Path) -> None:
    found = validate(stored(tmp_path, mixed()))
    assert (found.num_seen, found.num_kept, found.num_quarantined) == (10, 5, 0)
    assert found.dropped == {
        "synth_lead": 1,
        "silent": 1,
        "duplicate_note": 1,
        "duplicate_audio": 2,
    }
    assert list(found.dropped) == ["synth_lead", "silent", "duplicate_note", "duplicate_audio"]
    assert found.families == {"bass": 1, "brass": 1, "flute": 1, "mallet": 1, "reed": 1}
    assert list(found.families) == sorted(found.families, key=FAMILIES.index)
    assert load_reasons(found) == MIXED


def test_validate_stores_where_each_dropped_note_stands(tmp_path: Path) -> None:
    uri = stored(tmp_path, mixed())
    table = pq.read_table(Path(validate(uri).uri) / "verdicts.parquet")
    assert table.column_names == [
        *("row", "note_str", "reason", "shard", "source_file", "source_offset")
    ]
    rows = table.to_pylist()
    assert [found["row"] for found in rows] == [3, 4, 6, 8, 9]
    assert rows[1] == {
        "row": 4,
        "note_str": "keyboard_acoustic_004-024-100",
        "reason": "silent",
        "shard": sorted(path.name for path in Path(uri).parent.glob("data/part-*"))[1],
        "source_file": "notes.tfrecord",
        "source_offset": mixed()[4]["source_offset"],
    }


def test_validate_of_sound_notes_drops_none(tmp_path: Path) -> None:
    found = validate(stored(tmp_path, [row(number) for number in range(9)]))
    assert (found.num_kept, found.dropped) == (9, {})
    assert load_reasons(found) == [None] * 9


def test_validate_leaves_the_data_set_as_it_is(tmp_path: Path) -> None:
    uri = stored(tmp_path, mixed())
    before = {path: path.read_bytes() for path in Path(uri).parent.rglob("*.*")}
    found = validate(uri)
    after = {path: path.read_bytes() for path in before}
    assert after == before
    assert Path(found.uri).parent == Path(uri).parent / "validation"


def test_validate_again_reuses_what_is_stored(tmp_path: Path) -> None:
    uri = stored(tmp_path, mixed())
    first = validate(uri)
    before = {path: path.stat().st_mtime_ns for path in Path(first.uri).iterdir()}
    # Nothing is read again: the shards are not even there.
    for shard in Path(uri).parent.glob("data/part-*"):
        shard.unlink()
    assert validate(uri) == first
    assert {path: path.stat().st_mtime_ns for path in Path(first.uri).iterdir()} == before


def test_validate_with_force_judges_again(tmp_path: Path) -> None:
    uri = stored(tmp_path, mixed())
    first = validate(uri)
    verdicts = Path(first.uri) / "verdicts.parquet"
    expected = verdicts.read_bytes()
    verdicts.write_bytes(b"damaged")
    assert validate(uri, force=True) == first
    assert verdicts.read_bytes() == expected


def test_validate_of_a_data_set_that_was_moved_finds_its_verdicts(tmp_path: Path) -> None:
    uri = Path(stored(tmp_path, mixed()))
    first = validate(str(uri))
    shutil.move(uri.parent, tmp_path / "moved")
    found = validate(str(tmp_path / "moved/manifest.json"))
    assert found.manifest_uri == str(tmp_path / "moved/manifest.json")
    assert found.verdict_digest == first.verdict_digest
    assert load_reasons(found) == MIXED


def test_validate_on_another_root_has_the_same_digest(tmp_path: Path) -> None:
    first = validate(stored(tmp_path / "one", mixed()))
    second = validate(stored(tmp_path / "two", mixed()))
    other = validate(stored(tmp_path / "three", mixed()[:9]))
    assert first.verdict_digest == second.verdict_digest != other.verdict_digest


def test_validate_compares_with_the_split_of_that_name(tmp_path: Path) -> None:
    found = validate(stored(tmp_path, mixed(), file_name="nsynth-test.tfrecord"))
    assert found.official == (
        "10 records, where the official test split has 4,096: this is not that split."
    )


def test_validate_of_a_converted_file_counts_everything_once(tmp_path: Path) -> None:
    data = [
        frame(note(0)),
        frame(note(1)),
        frame(note(1)),
        frame(note(2, audio=floats(sound(0)))),
        frame(note(3, audio=floats(sound(3) * 0))),
        frame(note(4, pitch=texts(b"60"))),
        b"foreign",
        frame(note(5)),
    ]
    path = tmp_path / "notes.tfrecord"
    path.write_bytes(b"".join(data))
    uri, manifest = convert(
        [str(path)],
        root=str(tmp_path),
        parameters=Parameters(range_bytes=300_000),
        num_workers=2,
        max_quarantined=0.5,
    )
    found = validate(uri)
    assert (found.num_seen, found.num_quarantined) == (6, 2)
    assert found.num_seen + found.num_quarantined == manifest.num_notes + manifest.num_quarantined
    assert found.dropped == {"silent": 1, "duplicate_note": 1, "duplicate_audio": 2}
    assert load_reasons(found) == [
        *("duplicate_audio", None, "duplicate_note", "duplicate_audio", "silent", None)
    ]


def test_validate_tells_of_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*manifest\.json; check the path"):
        validate(str(tmp_path / "manifest.json"))


def test_validation_refuses_counts_that_do_not_add_up() -> None:
    with pytest.raises(DatasetError, match=r"100 notes seen, but 98 kept and {'silent': 1} dropp"):
        validation(num_kept=98, dropped={"silent": 1})


def test_load_validation_refuses_an_unknown_version(tmp_path: Path) -> None:
    found = validate(stored(tmp_path, mixed()))
    summary = Path(found.uri) / "summary.json"
    summary.write_text(json.dumps(dataclasses.asdict(found) | {"format_version": 3}))
    with pytest.raises(
        FormatError, match=r"expected format_version 1 or 2 in .*, found 3; use the"
    ):
        load_validation(str(summary))


def test_load_reasons_notices_damage(tmp_path: Path) -> None:
    found = validate(stored(tmp_path, mixed()))
    verdicts = Path(found.uri) / "verdicts.parquet"
    verdicts.write_bytes(verdicts.read_bytes()[:-9])
    with pytest.raises(ShardError, match=r"verdicts\.parquet is damaged"):
        load_reasons(found)


@pytest.mark.parametrize(
    ("dropped", "max_dropped"),
    [
        ({}, 0.0),
        ({"silent": 5}, 0.05),
        ({"synth_lead": 90}, 0.0),
        ({"synth_lead": 90, "silent": 2, "duplicate_audio": 3}, 0.05),
        ({"silent": 99}, 1.0),
    ],
)
def test_check_dropped_allows(dropped: dict[str, int], max_dropped: float) -> None:
    found = validation(num_kept=100 - sum(dropped.values()), dropped=dropped)
    check_dropped(found, max_dropped=max_dropped)


def test_check_dropped_refuses_too_many_defects() -> None:
    dropped = {"synth_lead": 10, "silent": 2, "duplicate_audio": 4}
    message = (
        r"6 of 100 notes of \S+ are defective, 6.0% where 5.0% is allowed: synth_lead 10, silent 2,"
        r" duplicate_audio 4; see \S+, or allow more with --max-dropped"
    )
    with pytest.raises(DatasetError, match=message):
        check_dropped(validation(num_kept=84, dropped=dropped))


def test_check_dropped_refuses_when_no_note_is_left() -> None:
    found = validation(num_kept=0, dropped={"synth_lead": 100})
    with pytest.raises(DatasetError, match=r"no note of \S+ is left: synth_lead 100"):
        check_dropped(found, max_dropped=1)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_check_dropped_refuses_a_share_that_is_none(share: float) -> None:
    with pytest.raises(ConfigError, match=f"max_dropped must be from 0 to 1, got {share}"):
        check_dropped(validation(), max_dropped=share)


def test_verdicts_of_the_format_before_are_used_again(tmp_path: Path) -> None:
    uri = stored(tmp_path, mixed())
    found = validate(uri)
    summary = Path(found.uri) / "summary.json"
    content = json.loads(summary.read_text()) | {"format_version": 1}
    del content["content_digest"], content["verdicts_digest"]
    summary.write_text(json.dumps(content))
    before = summary.read_bytes()
    again = validate(uri)
    assert summary.read_bytes() == before
    assert again == dataclasses.replace(found, verdicts_digest=None, format_version=1)
    assert load_reasons(again) == MIXED
