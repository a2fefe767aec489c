import time
from collections.abc import Callable
from pathlib import Path

import pytest
import s3fs

from pipelines import storage
from pipelines.errors import ConfigError


def test_read_gives_what_put_wrote(root: str) -> None:
    uri = storage.join(root, "deep", "folder", "object")
    storage.put(uri, b"first")
    storage.put(uri, b"second content")
    assert storage.read(uri) == b"second content"
    assert storage.read_range(uri, 3, 9) == b"ond co"
    assert storage.read_range(uri, 7, 100) == b"content"
    assert storage.read_range(uri, 5, 5) == b""
    assert storage.read_range(uri, 14, 15) == b""
    with storage.open_seekable(uri) as file:
        file.seek(7)
        assert file.read(3) == b"con"
        assert file.tell() == 10
        assert file.read() == b"tent"


def test_read_gives_an_empty_object(root: str) -> None:
    uri = storage.join(root, "object")
    storage.put(uri, b"")
    assert storage.read(uri) == storage.read_range(uri, 0, 9) == b""
    with storage.open_seekable(uri) as file:
        assert file.read() == b""


def test_open_seekable_closes_its_file(root: str) -> None:
    uri = storage.join(root, "object")
    storage.put(uri, b"content")
    with storage.open_seekable(uri) as file:
        pass
    assert file.closed


def test_exists_and_identity_follow_the_object(root: str) -> None:
    uri = storage.join(root, "object")
    assert not storage.exists(uri)
    storage.put(uri, b"content")
    assert storage.exists(uri)
    assert storage.identity(uri)[0] == 7


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_identity_changes_with_the_content(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    root = str(tmp_path) if kind == "local" else str(request.getfixturevalue("bucket"))
    uri = storage.join(root, "object")
    storage.put(uri, b"first")
    first = storage.identity(uri)
    assert storage.identity(uri) == first
    storage.put(uri, b"other")
    assert storage.identity(uri) != first


def test_open_seekable_fails_where_another_object_takes_its_place(bucket: str) -> None:
    storage.put(f"{bucket}/object", b"first")
    with storage.open_seekable(f"{bucket}/object") as file:
        storage.put(f"{bucket}/object", b"other")
        with pytest.raises(OSError, match="no longer exists"):
            file.read()


Call = Callable[[str], object]


@pytest.mark.parametrize(
    "call",
    [
        storage.read,
        lambda uri: storage.read_range(uri, 0, 1),
        storage.identity,
        lambda uri: storage.open_seekable(uri).__enter__(),
    ],
    ids=["read", "read_range", "identity", "open_seekable"],
)
def test_reading_what_is_missing_is_one_sentence(root: str, call: Call) -> None:
    with pytest.raises(ConfigError, match=r"there is no (file )?\S+nothing; check"):
        call(storage.join(root, "nothing"))


@pytest.fixture
def notes(root: str) -> str:
    """A folder with two objects, and one in a folder of it."""
    for name, size in (("a", 1), ("b", 20), ("folder/c", 3)):
        storage.put(storage.join(root, "notes", name), bytes(size))
    return storage.join(root, "notes")


def test_sizes_lists_what_lies_directly_under(notes: str) -> None:
    assert storage.sizes(notes) == {"a": 1, "b": 20}
    assert storage.sizes(storage.join(notes, "nothing")) == {}


def test_modified_is_of_the_clock(notes: str) -> None:
    found = storage.modified(notes)
    assert found.keys() == {"a", "b"}
    assert all(abs(changed - time.time()) < 3600 for changed in found.values())
    assert storage.modified(storage.join(notes, "nothing")) == {}


def test_list_folders_leaves_objects_out(notes: str) -> None:
    assert storage.list_folders(notes) == ["folder"]
    assert storage.list_folders(storage.parent(notes)) == ["notes"]
    assert storage.list_folders(storage.join(notes, "nothing")) == []


def test_sizes_sees_what_another_process_writes(bucket: str, direct: s3fs.S3FileSystem) -> None:
    storage.put(f"{bucket}/notes/a", b"1")
    assert storage.sizes(f"{bucket}/notes") == {"a": 1}
    direct.pipe_file(f"{bucket}/notes/b", b"22")
    assert storage.sizes(f"{bucket}/notes") == {"a": 1, "b": 2}


def test_sizes_of_a_folder_below_a_file_is_an_error_and_not_empty(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Not a directory"):
        storage.sizes(str(tmp_path / "file" / "notes"))


def test_glob_gives_whole_locations_in_order(root: str) -> None:
    for name in ("b.tfrecord", "a.tfrecord", "c.json"):
        storage.put(storage.join(root, name), b"x")
    found = storage.glob(storage.join(root, "*.tfrecord"))
    assert [storage.name(uri) for uri in found] == ["a.tfrecord", "b.tfrecord"]
    assert all(storage.read(uri) == b"x" for uri in found)


def test_glob_takes_nothing_but_a_star_for_a_pattern(root: str) -> None:
    names = ("[a]/x?1", "[a]/x21", "a/x?1", "[a]/.x?1")
    for name in names:
        storage.put(storage.join(root, name), b"x")

    def found(pattern: str) -> list[str]:
        uris = storage.glob(storage.join(root, pattern))
        return [uri.removeprefix(storage.join(root, "")) for uri in uris]

    assert found("[a]/x?*") == ["[a]/x?1"]
    assert found("[a]/*1") == ["[a]/x21", "[a]/x?1"]
    assert found("[a]/.*1") == ["[a]/.x?1"]
    assert found("*/x?1") == ["[a]/x?1", "a/x?1"]
    assert found("*") == ["[a]", "a"]
    assert found("[b]*/x") == []


def test_glob_takes_a_name_with_a_star_for_itself(root: str) -> None:
    for name in ("a*b/1", "axb/2", "axb/3*", "axb/34"):
        storage.put(storage.join(root, name), b"x")
    assert [storage.name(uri) for uri in storage.glob(storage.join(root, "a*b/*"))] == ["1"]
    assert [storage.name(uri) for uri in storage.glob(storage.join(root, "a*/3*"))] == ["3*"]


def test_glob_does_not_look_for_buckets(s3_environment: None) -> None:
    with pytest.raises(ConfigError, match="cannot stand for a bucket or a host, got s3://buck"):
        storage.glob("s3://buck*/x")
