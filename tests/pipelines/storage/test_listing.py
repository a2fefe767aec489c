import time
from pathlib import Path

import pytest
import s3fs

from pipelines import storage
from pipelines.errors import ConfigError


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
