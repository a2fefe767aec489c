import gzip
import os
import tarfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal

import fsspec
import numpy as np
import pytest

from pipelines import storage
from pipelines.convert import sources
from pipelines.convert.estimate import estimate
from pipelines.convert.job import convert
from pipelines.convert.plan import Parameters, plan
from pipelines.convert.sources import (
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
from pipelines.errors import ConfigError
from pipelines.notes import named_split
from tests.pipelines.convert import forms
from tests.pipelines.convert.records import note, texts, tfrecord

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
        (b"x", TFRECORD),
        (looks_like_gzip(), TFRECORD),
        (gzip.compress(RECORDS), GZIP),
        (gzip.compress(RECORDS)[:12], GZIP),
        (gzip.compress(b""), GZIP),
        (gzip.compress(forms.tar({"nsynth.tfrecord": RECORDS})), GZIP),
        (forms.tar(WAV_FILES), JSON_WAV_TAR),
        (gzip.compress(forms.tar(WAV_FILES)), JSON_WAV_TAR_GZ),
        (gzip.compress(forms.tar(forms.examples_last(WAV_FILES)), 0), JSON_WAV_TAR_GZ),
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
        find(tmp_path / "archive", gzip.compress(data) if is_compressed else data)


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
        (found,) = find(tmp_path / "c", gzip.compress(forms.tar(large | content)))
        assert found.form == form


def test_find_sources_unpacks_a_bounded_part_of_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_MAX_SEARCH_BYTES", 2**20)
    large = {"README": bytes(2**21)}
    with pytest.raises(ConfigError, match=r"holds 0 files examples\.json"):
        find(tmp_path / "a", gzip.compress(forms.tar(large | WAV_FILES)))


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
