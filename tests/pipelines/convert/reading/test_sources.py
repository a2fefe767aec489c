import bz2
import gzip
import io
import logging
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from pipelines import storage
from pipelines.convert.job import convert
from pipelines.convert.reading import sources
from pipelines.convert.reading.sources import (
    GZIP,
    JSON_WAV,
    JSON_WAV_TAR,
    JSON_WAV_TAR_GZ,
    TFRECORD,
    Source,
    fetcher,
    find_sources,
    is_unchanged,
)
from pipelines.convert.shards.estimate import estimate
from pipelines.convert.shards.plan import Parameters, plan
from pipelines.errors import ConfigError
from pipelines.notes import named_split
from pipelines.validate.verdicts import validate
from tests.pipelines.convert import forms
from tests.pipelines.convert.records import note, texts, tfds_note, tfrecord

# Without a time, so that the names of cases do not change.
compress = partial(gzip.compress, mtime=0)

RECORDS = tfrecord(b"first", b"second")
WAV_FILES = forms.files([1])


def find(path: Path, data: bytes) -> tuple[Source, ...]:
    path.write_bytes(data)
    return find_sources([str(path)])


def looks_like_gzip() -> bytes:
    """A TFRecord file whose first length begins as a gzip file does."""
    return tfrecord(bytes(0x088B1F))


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (RECORDS, TFRECORD),
        (b"damaged" + RECORDS, TFRECORD),
        (b"\0x", TFRECORD),
        (looks_like_gzip(), TFRECORD),
        (compress(RECORDS), GZIP),
        (compress(RECORDS)[:12], GZIP),
        (compress(b""), GZIP),
        (compress(forms.tar({"nsynth.tfrecord": RECORDS})), GZIP),
        (forms.tar(WAV_FILES), JSON_WAV_TAR),
        (compress(forms.tar(WAV_FILES)), JSON_WAV_TAR_GZ),
        (compress(forms.tar(forms.examples_last(WAV_FILES)), 0), JSON_WAV_TAR_GZ),
    ],
)
@pytest.mark.parametrize("name", ["notes", "notes.tfrecord", "notes.tar.gz"])
def test_find_sources_tells_forms_by_content_and_not_by_name(
    tmp_path: Path, data: bytes, form: str, name: str
) -> None:
    (found,) = find(tmp_path / name, data)
    assert (found.name, found.form, found.size, found.start) == (name, form, len(data), 0)
    assert found.is_stream is (form in (GZIP, JSON_WAV_TAR_GZ))
    assert fetcher(found)(0, len(data)) == data


def test_find_sources_takes_a_folder_by_itself_or_by_its_examples_json(tmp_path: Path) -> None:
    folder = forms.write_folder(tmp_path / "nsynth-test", WAV_FILES)
    (found,) = find_sources([str(folder)])
    assert (found.name, found.form) == ("nsynth-test", JSON_WAV)
    assert found.size == len(WAV_FILES[f"audio/{forms.name(1)}.wav"])
    assert find_sources([f"{folder}/examples.json"]) == (found,)
    with pytest.raises(ConfigError, match="nsynth-test is named twice"):
        find_sources([str(folder), f"{folder}/examples.json"])


def test_find_sources_finds_tfrecord_files_in_a_tar(tmp_path: Path) -> None:
    other = tfrecord(b"third")
    content = {"nsynth-train.tfrecord": RECORDS, "readme": b"text", "b/nsynth-test.tfrecord": other}
    hidden = {"._nsynth-train.tfrecord": b"x"}
    data = forms.tar(hidden | content)
    found = find(tmp_path / "nsynth.tar", data)
    assert [(source.name, source.form) for source in found] == [
        ("nsynth-train.tfrecord", TFRECORD),
        ("nsynth-test.tfrecord", TFRECORD),
    ]
    assert [fetcher(source)(0, source.size) for source in found] == [RECORDS, other]


def test_find_sources_of_a_tar_that_broke_off_takes_what_is_there(tmp_path: Path) -> None:
    data = forms.tar({"nsynth-train.tfrecord": RECORDS})
    (found,) = find(tmp_path / "nsynth.tar", data[: data.index(b"second")])
    assert fetcher(found)(0, 100) == RECORDS[: RECORDS.index(b"second")]
    assert found.size == RECORDS.index(b"second")


def zipped(content: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return target.getvalue()


def parquet() -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table({"audio": [0.0]}), target)
    return target.getvalue()


def npy(array: NDArray[np.float32]) -> bytes:
    target = io.BytesIO()
    np.save(target, array)
    return target.getvalue()


def npz(array: NDArray[np.float32]) -> bytes:
    target = io.BytesIO()
    np.savez(target, audio=array)
    return target.getvalue()


AUDIO = np.zeros(16, np.float32)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 849008968\n"
OTHER_FILES: dict[str, tuple[bytes, str]] = {
    "zlib": (zlib.compress(RECORDS), "a zlib stream, not a TFRecord file; unpack it"),
    "zlib, fast": (zlib.compress(RECORDS * 9999, 1), "a zlib stream"),
    "bz2": (bz2.compress(RECORDS), "a bzip2 file, .*; unpack it, or compress it by gzip instead"),
    "bz2 of nothing": (bz2.compress(b""), "a bzip2 file"),
    "xz": (lzma.compress(RECORDS), "an xz file"),
    "zstd": (pa.compress(RECORDS, "zstd", asbytes=True), "a zstd file"),
    "lz4": (pa.compress(RECORDS, "lz4", asbytes=True), "an lz4 file"),
    "zip": (zipped({"nsynth.tfrecord": RECORDS}), "a zip archive"),
    "empty zip": (zipped({}), "a zip archive"),
    "gzip twice": (compress(compress(RECORDS)), "a gzip file of a gzip file, .* once$"),
    "gzip of a page": (compress(b"<html>404</html>"), "a gzip file of an HTML page, not"),
    "gzip of a pointer": (compress(POINTER), "a gzip file of a Git LFS pointer"),
    "Git LFS": (POINTER, "a Git LFS pointer, not a TFRecord file; git lfs pull fetches "),
    "git-annex": (b"/annex/objects/SHA256E-s3--4d7a.tfrecord\n", "a git-annex pointer"),
    "HTML": (b"\n<!DOCTYPE html>\n<html><h1>Not Found", "an HTML page, .*: download it again$"),
    "HTML in latin-1": (b"<HTML><h1>Zugriff verweigert f\xfcr", "an HTML page"),
    "XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "an XML page"),
    "JSON": (b'{\n "name": "nsynth"}', r"JSON, .*by FOLDER/\*.tfrecord\*$"),
    "JSON with a byte-order mark": (b'\xef\xbb\xbf{"name": 1}', "JSON, not a TFRecord file"),
    "text": ("note_str,pitch\nfl\xfbte".encode(), "text, not a TFRecord file"),
    "long text": ("\xfb".encode() * 2**17, "text"),
    "Parquet": (parquet(), "a Parquet file, .*; NSynth is read from TFRecord files, or"),
    "NPY": (npy(AUDIO), "a NumPy .npy file"),
    "NPZ": (npz(AUDIO), "a NumPy .npz file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    "WAV": (forms.wav(forms.pcm(1)), "a WAV file, .*; name the folder that holds examples.json"),
    "FLAC": (b"fLaC\0\0\0\x22" + bytes(34), "a FLAC file"),
    "ArrayRecord": (bytes.fromhex("83af70d10d884a3f") + bytes(56), "a Riegeli or ArrayRecord"),
}


@pytest.mark.parametrize(("data", "message"), OTHER_FILES.values(), ids=OTHER_FILES.keys())
def test_find_sources_says_what_a_file_is_that_holds_no_record(
    tmp_path: Path, data: bytes, message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"/nsynth-valid\.tfrecord is {message}"):
        find(tmp_path / "nsynth-valid.tfrecord", data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (compress(RECORDS), "nsynth.tfrecord is a gzip file, not a TFRecord file; unpack"),
        (POINTER, "nsynth.tfrecord is a Git LFS pointer"),
    ],
)
def test_find_sources_says_what_a_file_in_a_tar_is(
    tmp_path: Path, data: bytes, message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"/x\.tar/nsynth-valid/{message}"):
        find(tmp_path / "x.tar", forms.tar({"nsynth.tfrecord": data}))


@pytest.mark.parametrize(
    ("data", "message"), [(POINTER, "a Git LFS pointer"), (b"<html>", "an HTML page")]
)
def test_find_sources_says_what_examples_json_is(tmp_path: Path, data: bytes, message: str) -> None:
    folder = forms.write_folder(tmp_path / "x", WAV_FILES | {"examples.json": data})
    with pytest.raises(ConfigError, match=f"/x/examples.json is {message}, not JSON; "):
        find_sources([str(folder)])


@pytest.mark.parametrize(
    "head",
    [b"<html>502 Bad Gateway</html>", b"{}", b"\x78\x9c", b"BZh9", b"PK\3", b"\x1f\x8b"],
)
def test_find_sources_takes_records_after_a_damaged_beginning(tmp_path: Path, head: bytes) -> None:
    (found,) = find(tmp_path / "x", head + RECORDS)
    assert found.form == TFRECORD
    (found,) = find(tmp_path / "x", head + bytes(700_000) + RECORDS)
    assert found.form == TFRECORD


@pytest.mark.parametrize("order", [1, -1])
def test_find_sources_names_the_file_among_others_that_is_none(tmp_path: Path, order: int) -> None:
    names = ["dataset_info.json", "nsynth-valid.tfrecord-00000-of-00001"]
    for name, data in zip(names, (b'{"name": "nsynth"}', RECORDS)[::order], strict=True):
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError, match=f"/{names[::order][0]} is JSON, not a TFRecord file"):
        find_sources([f"{tmp_path}/*"])


def shard_files(folder: Path, *numbers: int, total: int = 4) -> list[str]:
    """Shards of one split, those of some numbers."""
    for number in numbers:
        path = folder / f"nsynth-test.tfrecord-{number:05d}-of-{total:05d}"
        path.write_bytes(RECORDS)
    return sorted(map(str, folder.iterdir()))


@pytest.mark.parametrize("pattern", ["nsynth-test.tfrecord-*", "*-of-00004", "*", "*-0000*-of-*"])
def test_find_sources_refuses_a_pattern_of_shards_that_are_not_all_there(
    tmp_path: Path, pattern: str
) -> None:
    shard_files(tmp_path, 0, 1, 3)
    message = (
        r"stands for shards of which 1 of 4 are not there: nsynth-test.tfrecord-00002-of-00004; "
        "add them, or name the shards to convert one by one"
    )
    with pytest.raises(ConfigError, match=message):
        find_sources([f"{tmp_path}/{pattern}"])
    shard_files(tmp_path, 2)
    assert len(find_sources([f"{tmp_path}/{pattern}"])) == 4


def test_find_sources_names_a_few_of_many_shards_that_are_not_there(tmp_path: Path) -> None:
    shard_files(tmp_path, 1, total=1024)
    with pytest.raises(ConfigError, match=r"1023 of 1024 .*-00003-of-01024 and 1,020 more; "):
        find_sources([f"{tmp_path}/nsynth-test.tfrecord-*"])


def test_find_sources_takes_the_shards_that_a_pattern_or_names_leave(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = shard_files(tmp_path, *range(12), total=1024)
    with caplog.at_level(logging.WARNING):
        assert len(find_sources([f"{tmp_path}/*-0000*"])) == 10
        assert len(find_sources(paths[:2])) == 2
    assert "1014 of 1024 shards are not among the sources" in caplog.text
    assert "1022 of 1024 shards are not among the sources: nsynth-test.tfrecord-0" in caplog.text


def test_find_sources_says_nothing_of_shards_that_are_all_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = shard_files(tmp_path, *range(4))
    with caplog.at_level(logging.WARNING):
        assert len(find_sources(paths)) == 4
    assert not caplog.text


def write_large_tar(path: Path, *, form: Literal[1, 2]) -> list[int]:
    """A tar with a TFRecord file of 9 GiB, nearly all of it a hole, and another after it."""
    sizes = [9 * 2**30 + 7, len(RECORDS)]
    with path.open("wb") as file:
        for number, size in enumerate(sizes):
            info = tarfile.TarInfo(f"nsynth-{number}.tfrecord")
            info.size = size
            file.write(info.tobuf(form))
            begin = file.tell()
            file.write(RECORDS)
            file.seek(begin + size - len(RECORDS))
            file.write(RECORDS)
            file.seek(begin + -(-size // 512) * 512)
        file.truncate()
    return sizes


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_find_sources_finds_tfrecord_files_of_more_than_8_gib(
    tmp_path: Path, form: Literal[1, 2]
) -> None:
    path = tmp_path / "nsynth.tar"
    sizes = write_large_tar(path, form=form)
    found = find_sources([str(path)])
    assert [(source.name, source.size) for source in found] == [
        ("nsynth-0.tfrecord", sizes[0]),
        ("nsynth-1.tfrecord", sizes[1]),
    ]
    for source in found:
        assert fetcher(source)(source.size - len(RECORDS), source.size) == RECORDS
    assert estimate(plan([str(path)], root=str(tmp_path), parameters=Parameters())).num_ranges == 74


def special(name: str, kind: bytes, **pax: str) -> bytes:
    """A tar of one member that is not a plain file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.pax_headers = kind, "elsewhere", pax
    return info.tobuf(tarfile.PAX_FORMAT)


REFUSED_TARS = {
    "a sparse file of GNU": (
        special("nsynth.tfrecord", tarfile.GNUTYPE_SPARSE),
        "'nsynth.tfrecord' in .*/archive is a sparse file, expected a plain file; pack the archive",
    ),
    "a sparse file of pax": (
        special("GNUSparseFile.0/a.wav", b"0", **{"GNU.sparse.name": "audio/a.wav"}),
        "'audio/a.wav' in .*/archive is a sparse file",
    ),
    "a link": (
        special("a/nsynth.tfrecord", tarfile.LNKTYPE),
        "'a/nsynth.tfrecord' in .* a link",
    ),
    "a linked examples.json": (
        special("examples.json", tarfile.SYMTYPE),
        "'examples.json' in .*/archive is a link",
    ),
    "a part of a file": (special("nsynth.tfrecord", b"M"), "is of the unknown type b'M'"),
    "no sources": (
        forms.tar({"README": b"x"}),
        "archive holds 0 files examples.json, expec",
    ),
    "folders only": (special("a", tarfile.DIRTYPE), "archive holds 0 files examples.json"),
    "a name with an escape": (special("\x1b[2Jx.wav", tarfile.SYMTYPE), r"'\\x1b\[2Jx.wav' in"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED_TARS.values(), ids=REFUSED_TARS.keys())
@pytest.mark.parametrize("is_compressed", [False, True])
def test_find_sources_refuses_a_tar_whose_notes_it_cannot_read(
    tmp_path: Path, data: bytes, message: str, is_compressed: bool
) -> None:
    with pytest.raises(ConfigError, match=message):
        find(tmp_path / "archive", compress(data) if is_compressed else data)


def test_find_sources_refuses_an_empty_tfrecord_file_in_a_tar(tmp_path: Path) -> None:
    data = forms.tar({"a.tfrecord": RECORDS, "b.tfrecord": b""})
    with pytest.raises(ConfigError, match=r"'nsynth-valid/b.tfrecord' in .* has no bytes"):
        find(tmp_path / "archive", data)


def test_find_sources_looks_at_all_members_of_a_tar(tmp_path: Path) -> None:
    readme = {"README": b"x" * 200_000}
    (found,) = find(tmp_path / "a", forms.tar(readme | {"X.TFRECORD": RECORDS}))
    assert (found.name, fetcher(found)(0, found.size)) == ("X.TFRECORD", RECORDS)
    (found,) = find(tmp_path / "b", forms.tar(readme | WAV_FILES))
    assert found.form == JSON_WAV_TAR
    for content, form in (({"x.tfrecord": RECORDS}, GZIP), (WAV_FILES, JSON_WAV_TAR_GZ)):
        large = {"README": np.random.default_rng(0).bytes(300_000)}
        (found,) = find(tmp_path / "c", compress(forms.tar(large | content)))
        assert found.form == form


def test_find_sources_unpacks_a_bounded_part_of_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_MAX_SEARCH_BYTES", 2**20)
    large = {"README": bytes(2**21)}
    with pytest.raises(ConfigError, match=r"holds 0 files examples\.json"):
        find(tmp_path / "a", compress(forms.tar(large | WAV_FILES)))


@pytest.mark.parametrize("form", ["tfrecord", "gzip", "json_wav", "json_wav_tar"])
def test_find_sources_refuses_a_name_that_is_not_utf8(tmp_path: Path, form: str) -> None:
    source = forms.FORMS[form](tmp_path, [1])
    renamed = source.rename(source.with_name("caf\udce9"))
    with pytest.raises(ConfigError, match=r"the name 'caf\\udce9' of a source is not UTF-8; give"):
        find_sources([str(renamed)])


def test_find_sources_refuses_a_name_in_a_tar_that_is_not_utf8(tmp_path: Path) -> None:
    data = forms.tar({"caf\udce9.tfrecord": RECORDS})
    with pytest.raises(ConfigError, match=r"the name 'caf\\udce9.tfrecord' of a source is not UTF"):
        find(tmp_path / "archive", data)


def test_find_sources_refuses_two_files_of_one_name_in_a_tar(tmp_path: Path) -> None:
    data = forms.tar({"x.tfrecord": RECORDS})
    # The end of an archive is two blocks of zeros: without them it goes on.
    twice = data[: 512 * 2] + data
    with pytest.raises(ConfigError, match=r"nsynth-valid/x.tfrecord is named twice"):
        find(tmp_path / "nsynth.tar", twice)


def touch(path: Path) -> None:
    os.utime(path, (1, 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: touch(folder / "examples.json"),
        lambda folder: touch(folder / f"audio/{forms.name(1)}.wav"),
        lambda folder: (folder / "audio/new.wav").write_bytes(b"x"),
        lambda folder: (folder / f"audio/{forms.name(1)}.wav").write_bytes(b"x"),
    ],
)
def test_is_unchanged_notices_any_change_of_a_folder(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = forms.write_folder(tmp_path / "nsynth-test", WAV_FILES)
    (found,) = find_sources([str(folder)])
    assert is_unchanged(found)
    (folder / "audio/readme.txt").write_bytes(b"no note")
    assert is_unchanged(found)
    change(folder)
    assert not is_unchanged(found)


def test_is_unchanged_of_files_in_a_tar_is_that_of_the_tar(tmp_path: Path) -> None:
    path = tmp_path / "nsynth.tar"
    (found,) = find(path, forms.tar({"nsynth.tfrecord": RECORDS}))
    assert is_unchanged(found)
    touch(path)
    assert not is_unchanged(found)


TFDS_NAMES = [f"nsynth_full-train.tfrecord-{i:05d}-of-00003" for i in range(3)]
TFDS_RECORD_BYTES = 256_391


def tfds_record(number: int) -> bytes:
    """A note whose record is as long as those of the TFDS project, with the same 14 features."""
    missing = TFDS_RECORD_BYTES - len(note(number, qualities_str=texts()))
    # A text takes two bytes more than it has.
    return note(number, qualities_str=texts(b"q" * (missing - 2)) if missing else texts())


def test_convert_takes_a_split_in_many_files(tmp_path: Path) -> None:
    for number, name in enumerate(TFDS_NAMES):
        records = [tfds_record(number), tfds_record(number + 10)]
        assert {len(record) for record in records} == {TFDS_RECORD_BYTES}
        (tmp_path / name).write_bytes(tfrecord(*records))
    pattern = f"{tmp_path}/nsynth_full-train.tfrecord-*-of-00003"
    uri, manifest = convert([pattern], root=str(tmp_path / "root"), num_workers=2)
    assert [source.name for source in manifest.sources] == TFDS_NAMES
    assert manifest.num_notes == 6
    again = convert([pattern], root=str(tmp_path / "root"))
    assert again == (uri, manifest)
    assert [split.name for name in TFDS_NAMES if (split := named_split(name))] == ["train"] * 3


def test_convert_reads_the_shards_of_tensorflow_datasets(tmp_path: Path) -> None:
    names = [f"nsynth-valid.tfrecord-{i:05d}-of-00002" for i in range(2)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(tfrecord(tfds_note(number), tfds_note(number + 10)))
    pattern = f"{tmp_path}/nsynth-valid.tfrecord-*"
    uri, manifest = convert([pattern], root=str(tmp_path / "root"), num_workers=2)
    assert (manifest.num_notes, manifest.num_quarantined) == (4, 0)
    assert validate(uri).dropped == {}


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://sources"
    fsspec.filesystem("memory").rm("/sources", recursive=True)


@pytest.mark.parametrize("form", ["tfrecord", "gzip", "json_wav", "json_wav_tar"])
def test_convert_takes_any_fsspec_uri(tmp_path: Path, memory: str, form: str) -> None:
    source = forms.FORMS[form](tmp_path, [1, 2, 3])
    digests = set[str]()
    for path in source.rglob("*.*") if source.is_dir() else [source]:
        storage.put_file(path, f"{memory}/{path.relative_to(tmp_path)}")
    for uri in (str(source), source.as_uri(), f"{memory}/{source.name}"):
        root = tmp_path / f"root{len(digests)}"
        _, manifest = convert([uri], root=str(root), num_workers=1)
        digests.add(manifest.manifest_digest)
        assert manifest.num_notes == 3
    assert len(digests) == 1


class Server(BaseHTTPRequestHandler):
    """Serves one file, by parts if it is told to, with neither etag nor time."""

    data: bytes
    serves_parts: bool
    says_size: bool

    def do_HEAD(self) -> None:
        self._answer(b"", len(self.data))

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        if asked and self.serves_parts:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            part = self.data[int(first) : int(last) + 1]
            self.send_response(206)
            span = f"bytes {first}-{int(first) + len(part) - 1}/{len(self.data)}"
            self.send_header("Content-Range", span)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part)
        else:
            self._answer(self.data, len(self.data))

    def _answer(self, body: bytes, size: int) -> None:
        self.send_response(200)
        if self.says_size:
            self.send_header("Content-Length", str(size))
        if self.serves_parts:
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    """Starts a server of some bytes and says where they are."""
    servers = list[ThreadingHTTPServer]()

    def serve(data: bytes, *, serves_parts: bool = True, says_size: bool = True) -> str:
        handler = type(
            "OneFile",
            (Server,),
            {"data": data, "serves_parts": serves_parts, "says_size": says_size},
        )
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/nsynth-valid.tfrecord"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_convert_takes_a_file_from_a_web_server(tmp_path: Path, served: Callable[..., str]) -> None:
    uri = served(forms.records([1, 2, 3]))
    parameters = Parameters(range_bytes=300_000)
    _, manifest = convert([uri], root=str(tmp_path), parameters=parameters, num_workers=2)
    assert manifest.num_notes == 3
    assert manifest.sources[0].name == "nsynth-valid.tfrecord"


def test_convert_leaves_a_harmless_query_out_of_names(
    tmp_path: Path, served: Callable[..., str]
) -> None:
    uri = f"{served(forms.records([1, 2]))}?download=1&path=a/b"
    manifest_uri, manifest = convert([uri], root=str(tmp_path), num_workers=1)
    assert manifest.sources[0].name == "nsynth-valid.tfrecord"
    # The location itself is kept whole, for whoever reads the file again.
    assert manifest.sources[0].uri == uri
    shard = pq.read_table(next(Path(manifest_uri).parent.rglob("*.parquet")))
    assert set(shard["source_file"].to_pylist()) == {"nsynth-valid.tfrecord"}
    assert "download" not in Path(manifest_uri).with_name("README.md").read_text()


def test_find_sources_refuses_files_that_differ_in_their_queries_alone(
    served: Callable[..., str],
) -> None:
    uri = served(forms.records([1]))
    with pytest.raises(ConfigError, match=r"2 sources are http.*valid.tfrecord but for their quer"):
        find_sources([f"{uri}?id=1", f"{uri}?id=2"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"serves_parts": False}, "does not serve parts of files; download it first"),
        ({"says_size": False}, "does not say how large it is; download it first"),
    ],
)
def test_convert_refuses_a_web_server_that_is_of_no_use(
    tmp_path: Path, served: Callable[..., str], options: dict[str, bool], message: str
) -> None:
    uri = served(forms.records([1, 2, 3]), **options)
    with pytest.raises(ConfigError, match=message):
        convert([uri], root=str(tmp_path), num_workers=1)
