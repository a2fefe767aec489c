import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import xxhash

from pipelines.convert.formats.tfrecord import MAX_RECORD_BYTES
from pipelines.convert.job import convert
from pipelines.convert.reading.jsonwav import read_part, split_parts
from pipelines.convert.reading.sources import JSON_WAV, JSON_WAV_TAR, Source
from pipelines.convert.reading.tfrecord_range import RangeResult
from pipelines.dataset import open_dataset
from pipelines.note_schema import SCALAR_FIELDS
from tests.pipelines.convert import forms

NUMBERS = (4, 1, 3)
WAV_BYTES = len(forms.wav(forms.pcm(0)))

Files = dict[str, bytes]


def wav_of(number: int) -> str:
    return f"audio/{forms.name(number)}.wav"


def read(content: Files, tmp_path: Path, *, form: str, num_notes: int = 512) -> list[RangeResult]:
    """Reads a folder or a tar part by part."""
    if form == JSON_WAV:
        path = forms.write_folder(tmp_path / "nsynth-valid", content)
        size = 0
    else:
        path = tmp_path / "nsynth-valid.tar"
        size = path.write_bytes(forms.tar(content))
    source = Source(path.name, str(path), size, "", form)
    return [
        read_part(source, part, num_samples=8_000)
        for part in split_parts(source, num_notes=num_notes)
    ]


def with_entry(number: int, **changes: Any) -> Callable[[Files], Files]:
    def change(files: Files) -> Files:
        examples = json.loads(files["examples.json"])
        examples[forms.name(number)] = forms.entry(number, **changes)
        return files | {"examples.json": json.dumps(examples).encode()}

    return change


def with_wav(number: int, data: bytes) -> Callable[[Files], Files]:
    return lambda files: files | {wav_of(number): data}


def without_wav(files: Files) -> Files:
    return {key: data for key, data in files.items() if key != wav_of(1)}


def without_entry(files: Files) -> Files:
    examples = json.loads(files["examples.json"])
    del examples[forms.name(1)]
    return files | {"examples.json": json.dumps(examples).encode()}


def twice(files: Files) -> Files:
    entry = json.dumps({forms.name(1): forms.entry(1)}).encode()
    return files | {"examples.json": files["examples.json"].strip()[:-1] + b"," + entry[1:]}


WAV = forms.wav(forms.pcm(1))


class Defect(NamedTuple):
    """What is done to the second of three notes, and what the quarantine says of it then."""

    change: Callable[[Files], Files]
    reason: str
    length: int
    read_bytes: bytes


DEFECTS = {
    "no wav": Defect(without_wav, "missing_wav", 0, b""),
    "no metadata": Defect(without_entry, "no_metadata", WAV_BYTES, WAV),
    "another note's metadata": Defect(
        with_entry(1, note_str="bass_acoustic_009-060-100"),
        "no_metadata",
        WAV_BYTES,
        WAV,
    ),
    "no pitch": Defect(with_entry(1, pitch=None), "missing_feature", WAV_BYTES, WAV),
    "pitch as text": Defect(with_entry(1, pitch="60"), "wrong_type", WAV_BYTES, WAV),
    "nine qualities": Defect(with_entry(1, qualities=[0] * 9), "wrong_length", WAV_BYTES, WAV),
    "63,999 samples": Defect(
        with_wav(1, forms.wav(forms.pcm(1)[1:])),
        "wrong_length",
        WAV_BYTES - 2,
        forms.wav(forms.pcm(1)[1:]),
    ),
    "stereo": Defect(
        with_wav(1, forms.wav(forms.pcm(1), channels=2)),
        "wav_format",
        WAV_BYTES,
        forms.wav(forms.pcm(1), channels=2),
    ),
    "cut short": Defect(with_wav(1, WAV[:-1000]), "not_wav", WAV_BYTES - 1000, WAV[:-1000]),
    "text": Defect(with_wav(1, b"<html>"), "not_wav", 6, b"<html>"),
    "empty": Defect(with_wav(1, b""), "not_wav", 0, b""),
    "enormous": Defect(
        with_wav(1, bytes(MAX_RECORD_BYTES + 1)),
        "record_too_long",
        MAX_RECORD_BYTES + 1,
        bytes(MAX_RECORD_BYTES),
    ),
}


@pytest.mark.parametrize("form", [JSON_WAV, JSON_WAV_TAR])
@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS.keys())
def test_read_part_sets_a_note_aside_and_keeps_the_others(
    tmp_path: Path, form: str, defect: Defect
) -> None:
    content = defect.change(forms.files(NUMBERS))
    (found,) = read(content, tmp_path, form=form)
    assert [row["note"] for row in found.notes] == [4, 3]
    (row,) = found.quarantined
    assert row.pop("detail")
    assert row == {
        "source_file": found.notes[0]["source_file"],
        # What examples.json does not list comes behind all that it does.
        "offset": 2 if defect.change is without_entry else 1,
        "length": defect.length,
        "reason": defect.reason,
        "sha256": hashlib.sha256(defect.read_bytes).hexdigest(),
    }
    wavs = [data for key, data in content.items() if key.endswith(".wav")]
    assert found.record_bytes == sum(map(len, wavs))


@pytest.mark.parametrize("form", [JSON_WAV, JSON_WAV_TAR])
def test_read_part_takes_a_note_that_is_listed_twice_once(tmp_path: Path, form: str) -> None:
    (found,) = read(twice(forms.files(NUMBERS)), tmp_path, form=form)
    assert [row["note"] for row in found.notes] == list(NUMBERS)
    assert [row["reason"] for row in found.quarantined] == ["missing_wav"]
    assert found.record_bytes == 3 * WAV_BYTES


def test_read_part_of_a_tar_takes_the_last_wav_of_a_name(tmp_path: Path) -> None:
    content = forms.files(NUMBERS)
    again = {f"old/{forms.name(1)}.wav": b"an old one"} | content
    (found,) = read(again, tmp_path, form=JSON_WAV_TAR)
    assert [row["note"] for row in found.notes] == list(NUMBERS)
    (row,) = found.quarantined
    assert (row["reason"], row["length"], row["offset"]) == ("no_metadata", 10, 3)


@pytest.mark.parametrize("form", [JSON_WAV, JSON_WAV_TAR])
def test_read_part_passes_over_files_that_are_no_wav(tmp_path: Path, form: str) -> None:
    hidden = {f"audio/._{forms.name(1)}.wav": b"x", "audio/notes.txt": b"y"}
    (found,) = read(forms.files(NUMBERS) | hidden, tmp_path, form=form)
    assert len(found.notes) == 3
    assert not found.quarantined


def test_read_part_describes_notes_as_the_tfrecord_form_does(tmp_path: Path) -> None:
    (found,) = read(forms.files(NUMBERS), tmp_path, form=JSON_WAV)
    row = found.notes[1]
    exact = forms.pcm(1).astype(np.float64) / 2**15
    assert row["peak"] == np.abs(exact).max()
    assert row["rms"] == pytest.approx(np.sqrt(np.mean(exact**2)), rel=1e-5)
    assert row["audio_digest"] == xxhash.xxh3_128_hexdigest(exact.astype("<f4").tobytes())
    assert (row["source_file"], row["source_offset"]) == ("nsynth-valid", 1)
    assert {key: row[key] for key in forms.entry(1)} == forms.entry(1)


def test_read_part_takes_the_rate_from_the_wav_file(tmp_path: Path) -> None:
    content = forms.files(NUMBERS) | {wav_of(1): forms.wav(forms.pcm(1), rate_hz=44_100)}
    (found,) = read(content, tmp_path, form=JSON_WAV)
    assert [row["sample_rate"] for row in found.notes] == [16_000, 44_100, 16_000]


@pytest.mark.parametrize("form", [JSON_WAV, JSON_WAV_TAR])
@pytest.mark.parametrize("num_notes", [1, 2, 3, 5])
def test_read_part_of_all_parts_is_everything_in_order(
    tmp_path: Path, form: str, num_notes: int
) -> None:
    numbers = (9, 2, 5, 0)
    content = without_wav(forms.files([*numbers, 1])) | {"audio/extra.wav": b"x", wav_of(8): b"y"}
    found = read(content, tmp_path, form=form, num_notes=num_notes)
    assert [row["note"] for part in found for row in part.notes] == list(numbers)
    assert [part.first_header for part in found] == list(range(0, 7, num_notes))
    assert found[-1].exit.offset == 7
    aside = [(row["offset"], row["reason"]) for part in found for row in part.quarantined]
    assert aside == [(4, "missing_wav"), (5, "no_metadata"), (6, "no_metadata")]


def test_read_part_notices_a_wav_file_that_became_shorter(tmp_path: Path) -> None:
    path = forms.write_folder(tmp_path / "nsynth-valid", forms.files(NUMBERS))
    source = Source(path.name, str(path), 0, "", JSON_WAV)
    (part,) = split_parts(source, num_notes=512)
    (path / wav_of(1)).write_bytes(b"RIFF")
    with pytest.raises(OSError, match=r"-100.wav of .*nsynth-valid is shorter than when it was"):
        read_part(source, part, num_samples=8_000)


def test_parts_of_a_folder_hold_what_the_listing_says(tmp_path: Path) -> None:
    path = forms.write_folder(tmp_path / "nsynth-valid", forms.files(NUMBERS))
    parts = split_parts(Source(path.name, str(path), 0, "", JSON_WAV), num_notes=2)
    examples = (path / "examples.json").read_bytes()
    assert [(part.begin, part.end, part.wav_bytes) for part in parts] == [
        (0, 2, 2 * WAV_BYTES),
        (2, 3, WAV_BYTES),
    ]
    for part, numbers in zip(parts, (NUMBERS[:2], NUMBERS[2:]), strict=True):
        held = json.loads(b"{%b}" % examples[slice(*part.entries)])
        assert list(held) == [forms.name(number) for number in numbers]


def test_convert_of_real_notes_in_either_form_gives_the_same(real: Path, tmp_path: Path) -> None:
    folder = real / "nsynth-train"
    if not folder.exists():
        pytest.skip("NSYNTH_REAL has no folder nsynth-train in the json + wav form")
    columns = [field.name for field in SCALAR_FIELDS if not field.name.startswith("source_")]
    tables = []
    for source in (folder, folder.with_suffix(".tfrecord")):
        uri, manifest = convert([str(source)], root=str(tmp_path), num_workers=2)
        assert manifest.quarantined == {}
        tables.append(open_dataset(uri).read(columns))
    assert tables[0].num_rows == 300
    assert tables[0].equals(tables[1])
