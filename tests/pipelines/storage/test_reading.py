from collections.abc import Callable
from pathlib import Path

import pytest

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
