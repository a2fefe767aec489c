"""Every form of source: the same notes come out, each byte is accounted for, all is resumed."""

import gzip
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import storage
from pipelines.convert.job import convert
from pipelines.convert.manifest import Manifest
from pipelines.convert.plan import Parameters
from pipelines.convert.verify import verify
from pipelines.dataset import open_dataset
from pipelines.errors import DatasetError, PipelineError
from tests.pipelines.convert import forms
from tests.pipelines.convert.records import ATOL, flipped

NUMBERS = (3, 7, 0, 5, 1, 8, 2)
TWO_NOTES = Parameters(range_bytes=2**19)
"""Two notes a shard, or a little more."""


def run(source: Path | str, root: Path | str, **options: Any) -> tuple[str, Manifest]:
    given: dict[str, Any] = {"num_workers": 2, "parameters": TWO_NOTES} | options
    return convert([str(source)], root=str(root), **given)


def notes(uri: str) -> pa.Table:
    """All columns by name of note, but where each was found."""
    table = open_dataset(uri).read(["note_str", "audio", "audio_digest", "peak", "sample_rate"])
    return table.sort_by("note_str")


def assert_equal(found: pa.Table, expected: pa.Table) -> None:
    assert found.drop_columns("audio").equals(expected.drop_columns("audio"))
    left, right = (np.array(t.column("audio").to_pylist(), np.float32) for t in (found, expected))
    np.testing.assert_allclose(left, right, rtol=0, atol=ATOL)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The notes as they come out of the TFRecord form."""
    folder = tmp_path_factory.mktemp("expected")
    uri, _ = run(forms.FORMS["tfrecord"](folder, NUMBERS), folder / "root")
    return notes(uri)


class Converted(NamedTuple):
    """One conversion of a form; a test that takes from it puts it back by converting again."""

    form: str
    source: Path
    uri: str
    manifest: Manifest

    @property
    def folder(self) -> Path:
        return Path(self.uri).parent

    def again(self, **options: Any) -> tuple[str, Manifest]:
        return run(self.source, self.folder.parents[1], **options)

    def stamps(self) -> dict[str, int]:
        """When each file was last written; what the manifest's README says has tests of its own."""
        files = [path for path in self.folder.rglob("*.*") if path.name != "README.md"]
        return {path.name: path.stat().st_mtime_ns for path in files}

    def written_since(self, before: dict[str, int]) -> set[str]:
        return {name for name, _ in self.stamps().items() - before.items()}


@pytest.fixture(scope="module", params=list(forms.FORMS))
def converted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Converted:
    folder = tmp_path_factory.mktemp("form")
    source = forms.FORMS[request.param](folder, NUMBERS)
    return Converted(request.param, source, *run(source, folder / "root"))


def test_convert_of_every_form_gives_the_same_notes(
    converted: Converted, expected: pa.Table
) -> None:
    assert_equal(notes(converted.uri), expected)
    assert converted.manifest.quarantined == {}
    assert len(converted.manifest.shards) >= 4


def test_convert_of_every_form_accounts_for_its_bytes(converted: Converted) -> None:
    held = [len(data) for key, data in forms.files(NUMBERS).items() if key.endswith(".wav")]
    is_wav = converted.form.startswith("json")
    num_bytes = sum(held) if is_wav else len(forms.records(NUMBERS))
    manifest = converted.manifest
    assert manifest.source_bytes == manifest.record_bytes == num_bytes
    (source,) = manifest.sources
    assert source.size == num_bytes
    assert converted.form.startswith(source.form)
    assert verify(converted.uri).problems == ()


def test_convert_of_every_form_again_writes_nothing(converted: Converted) -> None:
    before = converted.stamps()
    assert converted.again() == (converted.uri, converted.manifest)
    assert converted.stamps() == before


@pytest.mark.parametrize("num_left", [0, 1, 3])
def test_convert_of_every_form_goes_on_where_it_stopped(
    converted: Converted, num_left: int
) -> None:
    # As a crash leaves it.
    lost = {"manifest.json", *[shard.name for shard in converted.manifest.shards[num_left:]]}
    for path in [path for path in converted.folder.glob("**/*.*") if path.name in lost]:
        if path.parent.name != "quarantine":
            path.unlink()
    before = converted.stamps()
    assert converted.again() == (converted.uri, converted.manifest)
    assert converted.written_since(before) == lost


def test_convert_of_every_form_replaces_a_damaged_shard(converted: Converted) -> None:
    (converted.folder / "manifest.json").unlink()
    names = [shard.name for shard in converted.manifest.shards]
    damaged = converted.folder / "data" / names[2]
    damaged.write_bytes(flipped(damaged.read_bytes(), 5000))
    before = converted.stamps()
    assert converted.again() == (converted.uri, converted.manifest)
    # Behind it a stream has to be read anyway.
    is_stream = converted.manifest.sources[0].is_stream
    again = names[2:] if is_stream else [damaged.name]
    assert converted.written_since(before) == {"manifest.json", *again}


def test_convert_of_every_form_with_force_arrives_at_the_same_digest(converted: Converted) -> None:
    before = converted.stamps()
    assert converted.again(force=True) == (converted.uri, converted.manifest)
    assert converted.written_since(before) == before.keys()


@pytest.mark.parametrize("form", ["gzip", "json_wav", "json_wav_tar", "json_wav_tar_gz"])
def test_convert_of_a_form_does_not_depend_on_where_it_lies(
    tmp_path: Path, form: str, bucket: str
) -> None:
    source = forms.FORMS[form](tmp_path, NUMBERS)
    _, expected = run(source, tmp_path / "root")
    copied = source.rglob("*.*") if source.is_dir() else [source]
    for path in copied:
        storage.put_file(path, f"{bucket}/data/{path.relative_to(tmp_path)}")
    uri, found = run(f"{bucket}/data/{source.name}", f"{bucket}/root")
    assert found.manifest_digest == expected.manifest_digest
    assert found.samples_digest == expected.samples_digest
    assert verify(uri).problems == ()


@pytest.mark.parametrize("forms_of", [("gzip", "json_wav"), ("tfrecord", "json_wav_tar_gz")])
def test_convert_takes_several_forms_as_one_data_set(
    tmp_path: Path, forms_of: tuple[str, str]
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    sources = [
        str(forms.FORMS[form](tmp_path / folder, numbers))
        for form, folder, numbers in zip(forms_of, "ab", ((1, 2, 3), (4, 5)), strict=True)
    ]
    uri, manifest = convert(
        sources, root=str(tmp_path / "root"), parameters=TWO_NOTES, num_workers=2
    )
    assert open_dataset(uri).read(["note"]).column("note").to_pylist() == [1, 2, 3, 4, 5]
    assert verify(uri).problems == ()
    assert {shard.file for shard in manifest.shards} == {0, 1}


def quarantine(uri: str) -> list[dict[str, Any]]:
    paths = sorted((Path(uri).parent / "quarantine").iterdir())
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("num_missing", [1, 8, 100_000, 900_000])
def test_convert_of_a_truncated_gzip_keeps_what_is_whole(tmp_path: Path, num_missing: int) -> None:
    whole = forms.records(NUMBERS)
    source = tmp_path / "nsynth-valid.tfrecord.gz"
    source.write_bytes(gzip.compress(whole, 1)[:-num_missing])
    uri, manifest = run(source, tmp_path / "root", max_quarantined=1)
    (row,) = quarantine(uri)
    left = whole[: manifest.source_bytes]
    assert row["reason"] == "gzip_truncated"
    assert row["offset"] + row["length"] == len(left)
    assert row["sha256"] == hashlib.sha256(left[row["offset"] :]).hexdigest()
    assert manifest.record_bytes + manifest.skipped_bytes == len(left)
    kept = [number for number in NUMBERS if forms.records([number]) in left]
    assert open_dataset(uri).read(["note"]).column("note").to_pylist() == kept
    assert manifest.quarantined == {"gzip_truncated": 1}
    assert verify(uri).problems == ()


@pytest.mark.parametrize("place", [200_000, 900_000, -8, -3])
def test_convert_of_a_corrupt_gzip_keeps_what_its_records_prove(tmp_path: Path, place: int) -> None:
    data = flipped(gzip.compress(forms.records(NUMBERS), 1), place)
    source = tmp_path / "nsynth-valid.tfrecord.gz"
    source.write_bytes(data)
    uri, manifest = run(source, tmp_path / "root", max_quarantined=1)
    assert manifest.quarantined["gzip_corrupt"] == 1
    assert manifest.record_bytes + manifest.skipped_bytes == manifest.source_bytes
    kept = open_dataset(uri).read(["note"]).column("note").to_pylist()
    # Deflate may find its way back, or lose all behind the damage.
    assert kept == [number for number in NUMBERS if number in kept]
    assert len(kept) > 0
    if place < 0:
        assert kept == list(NUMBERS)
    assert verify(uri).problems == ()


def test_convert_of_a_corrupt_gzip_fails_by_the_bytes_it_lost(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(forms.records(NUMBERS), 1))
    data[600_000:600_040] = b"\xff" * 40
    source = tmp_path / "nsynth-valid.tfrecord.gz"
    source.write_bytes(data)
    with pytest.raises(DatasetError, match=r"cannot become notes, .*%.*: gzip_corrupt 1, "):
        run(source, tmp_path / "root", max_quarantined=0.3)


def test_convert_refuses_a_corrupt_archive_of_wav_files(tmp_path: Path) -> None:
    source = forms.FORMS["json_wav_tar_gz"](tmp_path, NUMBERS)
    data = bytearray(source.read_bytes())
    data[-5] ^= 1
    source.write_bytes(data)
    message = r"tar.gz is damaged: it cannot be decompressed behind byte \d+ .*; download it again"
    with pytest.raises(DatasetError, match=message):
        run(source, tmp_path / "root")


def test_convert_of_a_truncated_archive_sets_the_lost_notes_aside(tmp_path: Path) -> None:
    source = forms.FORMS["json_wav_tar_gz"](tmp_path, NUMBERS)
    source.write_bytes(source.read_bytes()[:-300_000])
    uri, manifest = run(source, tmp_path / "root", max_quarantined=1)
    assert manifest.num_notes + manifest.num_quarantined == len(NUMBERS)
    assert manifest.quarantined["not_wav"] == 1
    assert manifest.quarantined["missing_wav"] >= 1
    assert verify(uri).problems == ()


ERRORS = {
    "a folder without examples.json": (
        lambda path: forms.write_folder(path, {"audio/a.wav": b"x"}),
        "there is no examples.json in the folder .*; name TFRecord files, or a folder with exa",
    ),
    "a folder without wav files": (
        lambda path: forms.write_folder(path, {"examples.json": b"{}"}),
        "there is no wav file in .*/audio; check the path",
    ),
    "a corrupt examples.json": (
        lambda path: forms.write_folder(path, forms.files([1]) | {"examples.json": b'{"a": {}'}),
        "examples.json is no JSON object of notes: it goes wrong behind byte",
    ),
    "a tar without examples.json": (
        lambda path: path.write_bytes(forms.tar({"audio/a.wav": b"x"})),
        "holds 0 files examples.json, expected one: a tar of NSynth holds examples.json and au",
    ),
    "an empty tar": (
        lambda path: path.write_bytes(forms.tar({"readme": b"x"})),
        "holds 0 files examples.json, expected one",
    ),
    "a tar of two splits": (
        lambda path: path.write_bytes(forms.tar({"examples.json": b"{}", "x/examples.json": b""})),
        "holds 2 files examples.json, expected one",
    ),
    "a compressed tar without examples.json": (
        lambda path: path.write_bytes(gzip.compress(forms.tar({"audio/a.wav": b"x"}))),
        "holds 0 files examples.json, expected one: a tar of NSynth holds examples.json and au",
    ),
    "a compressed tar with a corrupt examples.json": (
        lambda path: path.write_bytes(gzip.compress(forms.tar({"examples.json": b"[]"}))),
        "examples.json is no JSON object of notes",
    ),
    "a compressed text": (
        lambda path: path.write_bytes(gzip.compress(b"some text " * 1000)),
        "/nsynth is a gzip file of text, not a TFRecord file; ",
    ),
}


@pytest.mark.parametrize(("write", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_convert_refuses_in_one_sentence(tmp_path: Path, write: Any, message: str) -> None:
    write(tmp_path / "nsynth")
    with pytest.raises(PipelineError, match=message) as raised:
        run(tmp_path / "nsynth", tmp_path / "root")
    assert "\n" not in str(raised.value)
