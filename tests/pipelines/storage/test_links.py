"""A link of this machine is what it points to; one that points to nothing is one sentence."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import storage
from pipelines.convert.job import convert
from pipelines.errors import ConfigError
from tests.pipelines.convert.forms import SPLIT, files, records, write_folder


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder of links: to a file, to a folder, to a link, and hidden ones that are broken."""
    real, linked = tmp_path / "real", tmp_path / "linked"
    (real / "folder").mkdir(parents=True)
    (real / "file").write_bytes(b"content")
    (real / "folder" / "inner").write_bytes(b"in")
    os.utime(real / "file", (1_000_000, 1_000_000.25))
    linked.mkdir()
    (linked / "file").symlink_to(real / "file")
    (linked / "folder").symlink_to(real / "folder")
    (linked / "twice").symlink_to("file")
    (linked / ".#editor").symlink_to("user@host.123")
    return linked


def test_listings_follow_links(linked: Path) -> None:
    uri = str(linked)
    assert storage.sizes(uri) == {"file": 7, "twice": 7}
    assert storage.modified(uri) == {"file": 1_000_000.25, "twice": 1_000_000.25}
    assert storage.list_folders(uri) == ["folder"]
    assert storage.sizes(f"{uri}/folder") == {"inner": 2}
    expected = storage.identity(f"{linked.parent}/real/file")
    assert storage.identities(uri) == {"file": expected, "twice": expected}
    assert storage.identity(f"{uri}/twice") == expected
    assert storage.glob(f"{uri}/*/inner") == [f"{uri}/folder/inner"]
    assert storage.glob(f"{uri}/t*") == [f"{uri}/twice"]
    assert storage.is_folder(f"{uri}/folder")
    assert storage.exists(f"{uri}/twice")


def test_a_linked_folder_is_swept_once_and_a_loop_ends(tmp_path: Path, linked: Path) -> None:
    left = tmp_path / "real" / "folder" / ".part.0a1b2c3d.nsynth-part"
    left.touch()
    (tmp_path / "real" / "folder" / "back").symlink_to(linked)
    assert len(storage.sweep_uploads(str(linked), -1)) == 1
    assert not left.exists()


@pytest.mark.parametrize(
    "call",
    [
        storage.sizes,
        storage.modified,
        storage.identities,
        lambda uri: storage.read(f"{uri}/broken"),
        lambda uri: storage.identity(f"{uri}/broken"),
        lambda uri: storage.is_folder(f"{uri}/broken"),
        lambda uri: storage.list_folders(f"{uri}/broken"),
        lambda uri: storage.sizes(f"{uri}/broken/below"),
        lambda uri: storage.read_range(f"{uri}/broken", 0, 1),
        lambda uri: storage.open_seekable(f"{uri}/broken").__enter__(),
        lambda uri: storage.put(f"{uri}/broken/below", b""),
    ],
)
@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nowhere", "broken is a link to nowhere, which does not exist; put that back or remove"),
        ("broken", "broken is a link that leads back to itself; remove it"),
    ],
)
def test_a_broken_link_is_one_sentence(
    tmp_path: Path, call: Callable[[str], object], target: str, sentence: str
) -> None:
    (tmp_path / "broken").symlink_to(target)
    with pytest.raises(ConfigError, match=sentence):
        call(str(tmp_path))


def test_a_broken_link_is_listed_as_a_folder_and_does_not_exist(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("nowhere")
    assert storage.list_folders(str(tmp_path)) == ["broken"]
    assert storage.list_names(str(tmp_path)) == {"broken"}
    assert not storage.exists(str(tmp_path / "broken"))
    assert not storage.create(str(tmp_path / "broken"), b"")


def into_store(path: Path, store: Path) -> None:
    """Replaces each file by a link into another folder, as DVC, git-annex and Hugging Face do."""
    store.mkdir()
    for number, file in enumerate(sorted(p for p in path.rglob("*") if p.is_file())):
        file.symlink_to(file.rename(store / f"{number:032x}"))


def test_convert_reads_linked_notes_as_those_themselves(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / SPLIT, files(range(3)))
    _, plain = convert([str(folder)], root=str(tmp_path / "a"), num_workers=1)
    into_store(folder, tmp_path / "store")
    _, linked = convert([str(folder)], root=str(tmp_path / "b"), num_workers=1)
    assert linked.num_notes == 3
    assert linked.manifest_digest == plain.manifest_digest
    (tmp_path / "link").symlink_to(folder)
    _, folder_linked = convert([str(tmp_path / "link")], root=str(tmp_path / "c"), num_workers=1)
    assert folder_linked.samples_digest == plain.samples_digest
    wav = next((folder / "audio").iterdir())
    wav.resolve().unlink()
    with pytest.raises(ConfigError, match=f"{wav.name} is a link to .*, which does not exist"):
        convert([str(folder)], root=str(tmp_path / "d"), num_workers=1)


def test_convert_takes_linked_files_by_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(2):
        (tmp_path / f"{number}").write_bytes(records([number]))
        (tmp_path / "data" / f"nsynth-valid.tfrecord-0000{number}").symlink_to(
            tmp_path / f"{number}"
        )
    (tmp_path / "linked").symlink_to("data")
    pattern = str(tmp_path / "link*" / "nsynth-valid*")
    _, manifest = convert([pattern], root=str(tmp_path / "root"), num_workers=1)
    assert (manifest.num_notes, len(manifest.sources)) == (2, 2)


def test_convert_goes_on_in_a_root_of_links(tmp_path: Path) -> None:
    source = tmp_path / "nsynth-valid.tfrecord"
    source.write_bytes(records(range(3)))
    uri, first = convert([str(source)], root=str(tmp_path / "root"), num_workers=1)
    into_store(Path(uri).parent, tmp_path / "store")
    before = time.time()
    again, second = convert([str(source)], root=str(tmp_path / "root"), num_workers=1)
    assert (again, second) == (uri, first)
    Path(uri).unlink()
    _, third = convert([str(source)], root=str(tmp_path / "root"), num_workers=1)
    assert third == first
    assert all(p.stat().st_mtime < before for p in Path(uri).parent.glob("data/part-*"))
