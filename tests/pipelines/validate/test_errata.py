from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.decisions import collect_decisions
from pipelines.errors import ConfigError, PipelineError
from pipelines.notes import NUM_SAMPLES
from pipelines.validate.errata import (
    KINDS,
    SCHEMA,
    count_errata,
    export_errata,
    find_errata,
    read_errata,
    select_kind,
)
from tests.pipelines.datasets import row, store

NOISE = np.random.default_rng(1).normal(size=(20, NUM_SAMPLES)).astype(np.float32)


def stored(folder: Path, rows: list[dict[str, Any]], audio: NDArray[np.float32]) -> str:
    return store(folder, rows, notes_per_shard=4, audio=audio, file_name=f"{folder.name}.tfrecord")


def note(number: int, instrument: str, pitch: int, **changes: Any) -> dict[str, Any]:
    name = f"{instrument}-{pitch:03d}-100"
    named = {"note_str": name, "instrument_str": instrument, "pitch": pitch}
    place = {"source_file": "nsynth-valid.tfrecord"}
    return row(number, **{**named, **place, **changes})


@pytest.fixture
def places(tmp_path: Path) -> tuple[str, str]:
    """Return two data sets: one with each kind of defect, and one that shares an instrument."""
    rows = [
        note(0, "bass_acoustic_000", 40, peak=1.0),
        note(10, "bass_acoustic_000", 41, audio_digest="digest of 0"),
        note(20, "bass_acoustic_001", 40),
        note(30, "bass_acoustic_002", 50, peak=1e-5),
        *(note(40 + 10 * i, "bass_acoustic_004", 60 + i) for i in range(3)),
    ]
    audio = NOISE[[0, 0, 1, 2, 3, 4, 5]]
    audio[2] = NOISE[0] + 0.1 * NOISE[1]
    other = [
        note(500 + 10 * i, "bass_acoustic_009", 60 + i, source_file="nsynth-test.tfrecord")
        for i in range(3)
    ]
    other[0]["audio_digest"] = "digest of 40"
    return (
        stored(tmp_path / "valid", rows, audio),
        stored(tmp_path / "test", other, 0.5 * NOISE[[3, 4, 5]]),
    )


def test_each_kind_of_defect_is_a_row_with_its_other_note(places: tuple[str, str]) -> None:
    _, table = find_errata(places[0], [places[1]])
    rows = [
        (r["kind"], r["note_str"], r["value"], r["other_note_str"], r["other_split"])
        for r in table.to_pylist()
    ]
    a, b, c, i, j = (f"bass_acoustic_00{k}" for k in (0, 1, 2, 4, 9))
    near = pytest.approx(1 / 1.01**0.5, abs=0.01)
    assert rows == [
        ("silent", f"{c}-050-100", pytest.approx(1e-5), None, None),
        ("duplicate_audio", f"{a}-041-100", 1.0, f"{a}-040-100", "valid"),
        ("duplicate_audio", f"{i}-060-100", 1.0, f"{j}-060-100", "test"),
        ("near_twin", f"{b}-040-100", near, f"{a}-040-100", "valid"),
        ("near_twin", f"{i}-061-100", 1.0, f"{j}-061-100", "test"),
        ("near_twin", f"{i}-062-100", 1.0, f"{j}-062-100", "test"),
        ("unpitched", f"{a}-040-100", 2.0, f"{a}-041-100", "valid"),
        ("unpitched", f"{a}-041-100", 2.0, f"{a}-040-100", "valid"),
        ("full_scale", f"{a}-040-100", 1.0, None, None),
        ("shared_instrument", f"{i}-060-100", 1.0, f"{j}-060-100", "test"),
    ]
    assert set(count_errata(table)) <= set(KINDS)


def test_errata_are_reused_and_the_manifest_stays(places: tuple[str, str]) -> None:
    before = Path(places[0]).read_bytes()
    uri, first = find_errata(places[0])
    with collect_decisions() as decisions:
        assert find_errata(places[0]) == (uri, first)
        other_uri, _ = find_errata(places[0], [places[1]])
        assert find_errata(places[0], force=True) == (uri, first)
    assert [decision.action for decision in decisions] == ["reused", "ran", "ran"]
    assert other_uri != uri
    assert Path(uri).parent.parent == Path(places[0]).parent
    assert Path(places[0]).read_bytes() == before


def test_errata_that_are_damaged_are_found_again(places: tuple[str, str]) -> None:
    uri, first = find_errata(places[0])
    data = Path(uri).read_bytes()
    Path(uri).write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with pytest.raises(PipelineError):
        read_errata(uri)
    assert find_errata(places[0])[1] == first
    assert read_errata(uri)[0] == first


def test_a_data_set_cannot_be_its_own_other_one(places: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="is named twice"):
        find_errata(places[0], [places[0]])


def test_errata_can_be_exported_and_read_by_others(places: tuple[str, str], tmp_path: Path) -> None:
    _, table = find_errata(places[0])
    for name in ("e.csv", "e.parquet"):
        place = tmp_path / name
        export_errata(table, str(place))
        reader = duckdb.read_csv if name.endswith("csv") else duckdb.read_parquet
        assert len(reader(str(place)).fetchall()) == table.num_rows
    with pytest.raises(ConfigError, match=r"ends in .csv or .parquet"):
        export_errata(table, str(tmp_path / "e.txt"))


def test_select_kind_knows_its_kinds(places: tuple[str, str]) -> None:
    _, table = find_errata(places[0])
    assert set(select_kind(table, "unpitched")["kind"].to_pylist()) == {"unpitched"}
    with pytest.raises(ConfigError, match="no kind 'noise' of defect; expected one of sample_rate"):
        select_kind(SCHEMA.empty_table(), "noise")
