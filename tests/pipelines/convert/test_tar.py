import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.convert.tar import is_tar, members
from pipelines.convert.window import Window
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


def test_members_passes_over_links_and_devices() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            link = tarfile.TarInfo("link")
            link.type, link.linkname, link.size = kind, "elsewhere", 5000
            tar.addfile(link)
        tar.addfile(tarfile.TarInfo("empty"))
    assert contents(target.getvalue()) == {"empty": b""}


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
