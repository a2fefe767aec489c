"""Originals read back by the place that a data set gives, against what was written there."""

from pathlib import Path

import numpy as np
import pytest
import xxhash

from infra.sample.splits import write_splits
from pipelines.convert.formats.tfrecord import HEADER_BYTES
from pipelines.convert.job import convert
from pipelines.convert.reading.original_audio import read_original
from pipelines.convert.reading.sources import find_sources
from pipelines.convert.reading.tfrecord_range import resample
from pipelines.dataset import Dataset, open_dataset
from pipelines.report.note_media import read_originals
from tests.pipelines.convert import forms


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write_splits(str(folder), {"train": 40, "valid": 40, "test": 40})
    return folder / "nsynth-test.tfrecord"


@pytest.fixture(scope="module")
def dataset(file: Path) -> Dataset:
    uri, _ = convert([str(file)], root=str(file.parent), num_workers=1, max_quarantined=1.0)
    return open_dataset(uri)


def place(dataset: Dataset, row: int) -> dict[str, object]:
    names = ["source_file", "source_offset", "note_str"]
    found: dict[str, object] = dataset.read(names).slice(row, 1).to_pylist()[0]
    return found


def test_originals_are_what_the_stored_samples_were_made_of(dataset: Dataset) -> None:
    found = read_originals(dataset, [0, 7, 30])
    assert list(found) == [0, 7, 30]
    stored = dataset.audio(list(found))
    again = resample(np.stack(list(found.values())), num_samples=stored.shape[1])
    np.testing.assert_allclose(again, stored, atol=1e-6)
    digests = dataset.read(["audio_digest"])["audio_digest"].to_pylist()
    for row, audio in found.items():
        assert xxhash.xxh3_128_hexdigest(audio.data) == digests[row]


def test_read_original_gives_nothing_for_another_note(dataset: Dataset) -> None:
    sources, of = dataset.manifest.sources, place(dataset, 3)
    assert read_original(sources, **of) is not None  # type: ignore[arg-type] # by name
    for changed in (
        {"note_str": "another"},
        {"source_offset": 1},
        {"source_offset": 10**12},
        {"source_file": "elsewhere.tfrecord"},
    ):
        assert read_original(sources, **of | changed) is None  # type: ignore[arg-type] # as above


def test_read_original_gives_nothing_of_a_damaged_record(file: Path, dataset: Dataset) -> None:
    of, sound = place(dataset, 5), file.read_bytes()
    data = bytearray(sound)
    data[int(str(of["source_offset"])) + HEADER_BYTES + 1000] ^= 1
    file.write_bytes(data)
    try:
        assert read_original(dataset.manifest.sources, **of) is None  # type: ignore[arg-type] # as above
    finally:
        file.write_bytes(sound)


def test_originals_are_none_where_the_source_is_gone(file: Path, dataset: Dataset) -> None:
    away = file.rename(file.with_suffix(".away"))
    try:
        assert read_originals(dataset, [0, 1]) == {}
    finally:
        away.rename(file)


@pytest.mark.parametrize("ending", [".wav", ".WAV"])
def test_read_original_finds_a_wav_file_of_either_case(tmp_path: Path, ending: str) -> None:
    files = {key.replace(".wav", ending): data for key, data in forms.files([1]).items()}
    folder = forms.write_folder(tmp_path / "nsynth-test", files)
    found = read_original(
        find_sources([str(folder)]),
        source_file="nsynth-test",
        source_offset=0,
        note_str=forms.name(1),
    )
    assert found is not None
    np.testing.assert_array_equal(found * 2**15, forms.pcm(1))
