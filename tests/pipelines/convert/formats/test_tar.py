import io
import tarfile
import tracemalloc
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.formats.byte_stream import Window
from pipelines.convert.formats.tar import is_tar, members
from tests.pipelines.convert.records import reader

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def archive(files: dict[str, bytes], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of a folder and files, each with a time that pax needs an extension for."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as tar:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 0.5
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def contents(data: bytes, *, block_bytes: int = 700) -> dict[str, bytes]:
    window = Window(reader(data), size=len(data), block_bytes=block_bytes)
    return {m.name: window.bytes_at(m.offset, m.offset + m.size) for m in members(window)}


names = st.text("abc/é", min_size=1, max_size=250).filter(
    lambda name: not name.startswith("/") and not name.endswith("/")
)


@given(
    st.dictionaries(names, st.binary(max_size=1200), max_size=5),
    st.sampled_from(FORMATS[1:]),
    st.integers(1, 3000),
)
def test_members_are_those_that_tarfile_wrote(
    files: dict[str, bytes], form: int, block_bytes: int
) -> None:
    data = archive(files, form=form)
    assert is_tar(data[:512])
    assert contents(data, block_bytes=block_bytes) == files


def test_members_says_which_are_not_plain_files() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE):
            member = tarfile.TarInfo(kind.decode())
            member.type, member.linkname, member.size = kind, "elsewhere", 512
            tar.addfile(member, io.BytesIO(bytes(512)) if member.isreg() else None)
        tar.addfile(tarfile.TarInfo("empty"))
    data = target.getvalue()
    found = list(members(Window(reader(data), size=len(data))))
    assert [(m.name, m.size, m.special) for m in found] == [
        ("2", 0, "a link"),
        ("1", 0, "a link"),
        ("6", 0, "of the unknown type b'6'"),
        ("S", 512, "a sparse file"),
        ("empty", 0, ""),
    ]


@pytest.mark.parametrize("key", ["GNU.sparse.major", "GNU.sparse.size", "GNU.sparse.map"])
def test_members_knows_sparse_files_of_pax(key: str) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("GNUSparseFile.0/a.wav")
        info.pax_headers = {key: "1", "GNU.sparse.name": "audio/a.wav"}
        tar.addfile(info)
    data = target.getvalue()
    (found,) = members(Window(reader(data), size=len(data)))
    assert (found.name, found.special) == ("audio/a.wav", "a sparse file")


@pytest.mark.parametrize("form", FORMATS[1:])
def test_members_do_not_have_the_long_name_of_a_folder_before(form: int) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as tar:
        folder = tarfile.TarInfo("long" * 50)
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        tar.addfile(tarfile.TarInfo("a.wav"))
    assert contents(target.getvalue()) == {"a.wav": b""}


EIGHT_GIB = 2**33


@pytest.mark.parametrize("form", FORMATS[1:])
def test_members_of_more_than_8_gib_are_passed_over_by_their_size(
    tmp_path: Path, form: Literal[1, 2]
) -> None:
    path = tmp_path / "large.tar"
    with path.open("wb") as file:
        for name, size in (("large", EIGHT_GIB + 5), ("small", 3)):
            info = tarfile.TarInfo(name)
            info.size = size
            file.write(info.tobuf(form))
            file.seek(-(-size // 512) * 512, 1)
        file.truncate()
    size = path.stat().st_size
    with path.open("rb") as stored:

        def read(start: int, end: int) -> bytes:
            stored.seek(start)
            return stored.read(end - start)

        found = list(members(Window(read, size=size, block_bytes=4096)))
    assert [(m.name, m.size) for m in found] == [("large", EIGHT_GIB + 5), ("small", 3)]


def extension(kind: bytes, content: bytes, *, claimed: int | None = None) -> bytes:
    header = tarfile.TarInfo("extension")
    header.type, header.size = kind, len(content) if claimed is None else claimed
    return header.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


LONG = b"x" * 100_000 + b".wav"
HOSTILE = {
    "an extension that claims 64 GiB": (extension(tarfile.XHDTYPE, b"", claimed=2**36), []),
    "a long name that claims 64 GiB": (extension(tarfile.GNUTYPE_LONGNAME, b"", claimed=2**36), []),
    "a member that claims 2**80 bytes": (extension(b"0", b"", claimed=2**80), ["extension"]),
    "a size that is none": (
        extension(tarfile.XHDTYPE, b"11 size=-5\n") + tarfile.TarInfo("a").tobuf(),
        ["a"],
    ),
    "a size of 5,000 digits": (
        extension(tarfile.XHDTYPE, b"5011 size=" + b"9" * 5000 + b"\n")
        + tarfile.TarInfo("a").tobuf(),
        ["a"],
    ),
    "a chain of 20,000 extensions": (
        extension(tarfile.XHDTYPE, b"10 path=b\n") * 20_000 + tarfile.TarInfo("a").tobuf(),
        ["b"],
    ),
    "a name of 100,000 bytes": (
        extension(tarfile.GNUTYPE_LONGNAME, LONG) + tarfile.TarInfo("a").tobuf(),
        [LONG[-4096:].decode()],
    ),
    "the magic where no header is": (b"ustar" * 200_000, []),
}


@pytest.mark.parametrize(("data", "names"), HOSTILE.values(), ids=HOSTILE.keys())
def test_members_of_hostile_headers_take_little_memory(data: bytes, names: list[str]) -> None:
    # What follows is found where the headers do not claim it.
    window = Window(reader(data), size=len(data), block_bytes=65_536)
    tracemalloc.start()
    found = list(members(window))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [member.name for member in found] == names
    assert peak < 8 * 2**20


@given(st.lists(st.binary(max_size=20), max_size=5), st.data())
def test_members_survives_any_bytes_in_an_archive(parts: list[bytes], draw: st.DataObject) -> None:
    data = bytearray(archive({f"{number}.wav": part for number, part in enumerate(parts)}))
    for _ in range(3):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at : at + 12] = draw.draw(st.binary(max_size=12))
    contents(bytes(data))


@pytest.mark.parametrize("form", FORMATS)
def test_members_behind_damage_are_found(form: int) -> None:
    files = {f"{letter}.wav": letter.encode() * 2000 for letter in "abcd"}
    data = bytearray(archive(files, form=form))
    header = data.index(b"b.wav\0")
    data[header] ^= 1
    found = contents(bytes(data))
    assert found == {name: files[name] for name in ("a.wav", "c.wav", "d.wav")}


def test_members_of_a_truncated_archive_end_with_the_part_of_one() -> None:
    data = archive({"a.wav": b"a" * 2000, "b.wav": b"b" * 2000})
    found = contents(data[: data.index(b"bbb") + 100])
    assert found == {"a.wav": b"a" * 2000, "b.wav": b"b" * 100}


@given(st.binary(max_size=3000))
def test_members_of_anything_else_are_none(data: bytes) -> None:
    assert contents(data) == {}
    assert not is_tar(data)


@given(st.binary(max_size=100))
def test_members_survives_any_extension(content: bytes) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
            extension = tarfile.TarInfo("extension")
            extension.type, extension.size = kind, len(content)
            tar.addfile(extension, io.BytesIO(content))
            tar.addfile(tarfile.TarInfo("file"))
    assert len(contents(target.getvalue())) in (1, 2)
