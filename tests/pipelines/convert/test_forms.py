"""Every form of source: the same notes come out, each byte is accounted for, all is resumed."""

import codecs
import gzip
import hashlib
import io
import json
import struct
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import storage
from pipelines.convert.commit.manifest import Manifest
from pipelines.convert.commit.quarantine import verify
from pipelines.convert.job import convert
from pipelines.convert.reading.archives import open_archive
from pipelines.convert.reading.jsonwav import read_items, read_part, split_parts
from pipelines.convert.reading.sources import Source
from pipelines.convert.shards.estimate import estimate
from pipelines.convert.shards.plan import Parameters, plan
from pipelines.dataset import open_dataset
from pipelines.errors import ConfigError, DatasetError, PipelineError
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
    source.write_bytes(gzip.compress(whole, 1, mtime=0)[:-num_missing])
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
    data = flipped(gzip.compress(forms.records(NUMBERS), 1, mtime=0), place)
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
    data = bytearray(gzip.compress(forms.records(NUMBERS), 1, mtime=0))
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
        lambda path: path.write_bytes(gzip.compress(forms.tar({"audio/a.wav": b"x"}), mtime=0)),
        "holds 0 files examples.json, expected one: a tar of NSynth holds examples.json and au",
    ),
    "a compressed tar with a corrupt examples.json": (
        lambda path: path.write_bytes(gzip.compress(forms.tar({"examples.json": b"[]"}), mtime=0)),
        "examples.json is no JSON object of notes",
    ),
    "a compressed text": (
        lambda path: path.write_bytes(gzip.compress(b"some text " * 1000, mtime=0)),
        "/nsynth is a gzip file of text, not a TFRecord file; ",
    ),
}


@pytest.mark.parametrize(("write", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_convert_refuses_in_one_sentence(tmp_path: Path, write: Any, message: str) -> None:
    write(tmp_path / "nsynth")
    with pytest.raises(PipelineError, match=message) as raised:
        run(tmp_path / "nsynth", tmp_path / "root")
    assert "\n" not in str(raised.value)


ARCHIVES = ("json_wav_tar", "json_wav_tar_gz")
JSON_WAV_FORMS = ("json_wav", *ARCHIVES)


def write_as(form: str, folder: Path, content: dict[str, bytes]) -> Path:
    """Files in a form of json + wav, under a name that is the same for all."""
    folder.mkdir()
    path = folder / "nsynth-valid"
    if form == "json_wav":
        return forms.write_folder(path, content)
    data = forms.tar(content)
    path.write_bytes(gzip.compress(data, 1, mtime=0) if form.endswith("gz") else data)
    return path


def converted_as(form: str, folder: Path, content: dict[str, bytes]) -> tuple[Manifest, list[Any]]:
    """The manifest, and the quarantine's rows."""
    source = write_as(form, folder, content)
    uri, manifest = convert([str(source)], root=str(folder), num_workers=1, max_quarantined=1)
    assert verify(uri).problems == ()
    return manifest, quarantine(uri) if manifest.num_quarantined else []


def doubled(numbers: Sequence[int]) -> dict[str, bytes]:
    """The notes, one of which is listed again as another instrument's."""
    files = forms.files(numbers)
    again = json.dumps({forms.name(numbers[0]): forms.entry(numbers[0], instrument=99)})
    return files | {"examples.json": files["examples.json"][:-2] + b"," + again[1:].encode()}


def defects(numbers: Sequence[int]) -> dict[str, bytes]:
    """The notes with what may be wrong of some of them."""
    files = forms.files(numbers)
    listed = [f'"{forms.name(n)}": {json.dumps(forms.entry(n))}' for n in numbers]
    listed.insert(1, f'"huge": {{"note": {"9" * 5000}}}')
    listed.insert(2, '"control": {"note_str": "a\x01b"}')
    text = ", ".join(listed).encode() + b', "\xff": {"note_str": "\xff"}'
    wav = forms.wav(forms.pcm(0))
    cut = wav[:12] + b"data" + bytes(4) + b"fmt " + struct.pack("<IH", 40, 0xFFFE)
    return files | {
        "examples.json": codecs.BOM_UTF8 + b"{%b}" % text,
        "audio/cut.wav": cut,
        "audio/huge.wav": wav,
        "audio/control.WAV": wav,
        "audio/\udcff.wav": wav,
    }


CONTENTS = {
    "notes": forms.files,
    "a doubled entry": doubled,
    "defects": defects,
    "upper case": lambda numbers: {
        key.replace(".wav", ".WAV"): data for key, data in forms.files(numbers).items()
    },
    "two cases of one name": lambda numbers: (
        forms.files(numbers) | {f"audio/{forms.name(numbers[0])}.WAV": forms.wav(forms.pcm(99))}
    ),
    "no wav for an entry": lambda numbers: {
        key: data for key, data in forms.files(numbers).items() if forms.name(numbers[0]) not in key
    },
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_convert_of_a_folder_and_its_archives_gives_one_digest(
    tmp_path: Path, content: Callable[[Sequence[int]], dict[str, bytes]]
) -> None:
    given = content(NUMBERS)
    orders = [given, dict(reversed(given.items())), dict(sorted(given.items()))]
    expected, rows = converted_as("json_wav", tmp_path / "folder", given)
    assert expected.num_notes in (len(NUMBERS), len(NUMBERS) - 1)
    for form in ARCHIVES:
        for number, order in enumerate(orders):
            found, set_aside = converted_as(form, tmp_path / f"{form}-{number}", order)
            assert set_aside == rows
            assert found.manifest_digest == expected.manifest_digest
            assert found.samples_digest == expected.samples_digest


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_read_of_a_tar_in_either_form_gives_the_same_items(data: st.DataObject) -> None:
    """Any members of any name, in any order, some of them twice."""
    names = st.sampled_from(
        [
            f"{folder}{forms.name(n)}{end}"
            for folder in ("audio/", "old/", "")
            for n in (1, 2)
            for end in (".wav", ".WAV")
        ]
    )
    wavs = data.draw(st.lists(st.tuples(names, st.binary(max_size=5)), max_size=6))
    listed = data.draw(st.lists(st.sampled_from([1, 2, 3]), max_size=5))
    text = ",".join(f'"{forms.name(n)}": {json.dumps(forms.entry(n))}' for n in listed)
    members = data.draw(st.permutations([("examples.json", f"{{{text}}}".encode()), *wavs]))
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tar"
        found = []
        for form, content in (
            ("json_wav_tar", tar.getvalue()),
            ("json_wav_tar_gz", gzip.compress(tar.getvalue(), mtime=0)),
        ):
            size = path.write_bytes(content)
            source = Source("tar", str(path), size, "", form)
            if not wavs and not listed:
                with pytest.raises(ConfigError, match="holds no note"):
                    _contents_of(source)
                return
            found.append(_contents_of(source))
        assert found[0] == found[1]
        record_bytes, rows = found[0]
        assert record_bytes == sum(len(content) for _, content in wavs)
        # No wav file here is one, so that each note is set aside, once.
        used = {forms.name(n) for n in listed} & {
            name[6:-4] for name, _ in wavs if name.startswith("audio/")
        }
        assert len(rows) == len(wavs) + len(listed) - len(used)


def _contents_of(source: Source) -> tuple[int, list[Any]]:
    if source.form == "json_wav_tar":
        (part,) = split_parts(source, num_notes=512)
        content = read_part(source, part, num_samples=8_000)
    else:
        with open_archive(source, begin=0) as items:
            content = read_items(items, begin=0, source_file=source.name, num_samples=8_000)
    assert content.notes == []
    return content.record_bytes, content.quarantined


@pytest.mark.parametrize("form", ARCHIVES)
def test_convert_of_an_archive_takes_the_wav_file_that_unpacking_leaves(
    tmp_path: Path, form: str
) -> None:
    files, wanted = forms.files(NUMBERS), f"audio/{forms.name(7)}.wav"
    members = [
        (f"old/{wanted}", b"another folder"),
        (wanted, b"the first of a path"),
        *files.items(),
        (f"audio/.ipynb_checkpoints/{forms.name(7)}.wav", b"a folder in it"),
    ]
    # Each an archive of its own, without the end mark: a dictionary has no name twice.
    data = b"".join(
        forms.tar({name: content})[: 512 * (1 - (-len(content) // 512))]
        for name, content in members
    )
    source = tmp_path / "nsynth-valid"
    source.write_bytes(gzip.compress(data, mtime=0) if form.endswith("gz") else data)
    uri, manifest = convert([str(source)], root=str(tmp_path), num_workers=1, max_quarantined=1)
    folder = tmp_path / "unpacked"
    with tarfile.open(fileobj=io.BytesIO(data), ignore_zeros=True) as archive:
        archive.extractall(folder, filter="data")
    plain, _ = convert(
        [str(folder / "nsynth-valid")], root=str(tmp_path), num_workers=1, max_quarantined=1
    )
    assert notes(uri).equals(notes(plain))
    assert [(row["reason"], row["length"], row["offset"]) for row in quarantine(uri)] == [
        ("no_metadata", 14, 7),
        ("no_metadata", 14, 8),
        ("no_metadata", 19, 9),
    ]
    assert manifest.record_bytes == sum(len(c) for name, c in members if name.endswith(".wav"))


@pytest.mark.parametrize("form", JSON_WAV_FORMS)
def test_estimate_and_convert_refuse_a_source_that_lists_nothing(tmp_path: Path, form: str) -> None:
    source = write_as(form, tmp_path / "source", {"examples.json": b"{}"})
    message = "there is no wav file in" if form == "json_wav" else "holds no note: its "
    with pytest.raises(PipelineError, match=message):
        run(source, tmp_path / "root")
    if form != "json_wav_tar_gz":
        with pytest.raises(PipelineError, match=message):
            estimate(plan([str(source)], root=str(tmp_path), parameters=TWO_NOTES))


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("json_wav_first", [False, True])
def test_convert_refuses_a_tar_of_both_forms(
    tmp_path: Path, is_compressed: bool, json_wav_first: bool
) -> None:
    both = forms.files([1, 2]) | {"nsynth-valid.tfrecord": forms.records([3])}
    if not json_wav_first:
        both = dict(reversed(both.items()))
    data = forms.tar({"README": b"x"} | both)
    source = tmp_path / "nsynth"
    source.write_bytes(gzip.compress(data, mtime=0) if is_compressed else data)
    message = "nsynth holds TFRecord files and also wav files or examples.json, expected one form"
    with pytest.raises(PipelineError, match=message):
        run(source, tmp_path / "root")


def test_convert_of_tfrecord_files_in_a_compressed_tar_reads_all_of_them(tmp_path: Path) -> None:
    files = {f"{number}.tfrecord": forms.records([number]) for number in NUMBERS}
    source = tmp_path / "nsynth-valid.tar.gz"
    source.write_bytes(gzip.compress(forms.tar({"README": b"x" * 5000} | files), mtime=0))
    uri, manifest = run(source, tmp_path / "root")
    assert open_dataset(uri).read(["note"]).column("note").to_pylist() == list(NUMBERS)
    assert manifest.source_bytes == manifest.record_bytes == sum(map(len, files.values()))
    assert verify(uri).problems == ()
    whole = tmp_path / "whole" / source.name
    whole.parent.mkdir()
    whole.write_bytes(b"".join(files.values()))
    assert run(whole, tmp_path)[1].manifest_digest == manifest.manifest_digest


@pytest.mark.parametrize("num_missing", [8, 3000, 400_000])
def test_convert_of_a_truncated_tar_of_tfrecord_files_keeps_what_is_whole(
    tmp_path: Path, num_missing: int
) -> None:
    files = {f"{number}.tfrecord": forms.records([number]) for number in NUMBERS}
    source = tmp_path / "nsynth-valid.tar.gz"
    source.write_bytes(gzip.compress(forms.tar(files), 0, mtime=0)[:-num_missing])
    uri, manifest = run(source, tmp_path / "root", max_quarantined=1)
    kept = open_dataset(uri).read(["note"]).column("note").to_pylist()
    assert kept == list(NUMBERS[: 7 if num_missing < 10_000 else 5])
    assert manifest.quarantined == {"gzip_truncated": 1}
    (row,) = quarantine(uri)
    assert row["offset"] == manifest.record_bytes
    assert verify(uri).problems == ()


def test_an_archive_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "nsynth"
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1) as file:
        info = tarfile.TarInfo("examples.json")
        info.size = 2**28
        file.write(info.tobuf())
        for _ in range(2**8):
            file.write(b" " * 2**20)
    source.write_bytes(target.getvalue())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with pytest.raises(PipelineError, match=r"has 268,435,456 bytes, expected [\d,]+ at most"):
        run(source, tmp_path / "root")
