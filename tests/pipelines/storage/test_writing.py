import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipelines import storage
from pipelines.errors import ConfigError


def test_create_does_not_touch_what_is_there(root: str) -> None:
    uri = storage.join(root, "manifest.json")
    assert storage.create(uri, b"first")
    assert not storage.create(uri, b"second")
    assert not storage.create(uri, b"first")
    assert storage.read(uri) == b"first"
    assert storage.sizes(root) == {"manifest.json": 5}


class Refusal(BaseHTTPRequestHandler):
    """Refuses every write without naming the condition that failed, as some servers do."""

    # Only then is the client told to send the body that it asks about first.
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(
            412,
            b"<Error><Code>PreconditionFailed</Code>"
            b"<Message>At least one of the pre-conditions you specified did not hold</Message>"
            b"</Error>",
        )

    def do_HEAD(self) -> None:
        self._answer(200, b"")

    def do_DELETE(self) -> None:
        self._answer(204, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_create_understands_a_refusal_that_names_no_condition(
    changing_s3: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        assert not storage.create("s3://bucket/manifest.json", b"content")
        server.shutdown()


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_create_at_once_has_one_winner(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    root = str(tmp_path) if kind == "local" else str(request.getfixturevalue("bucket"))
    uri = storage.join(root, "manifest.json")
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda i: storage.create(uri, f"writer {i}".encode()), range(8)))
    assert won.count(True) == 1
    assert storage.read(uri) == f"writer {won.index(True)}".encode()


def test_put_leaves_nothing_else(tmp_path: Path) -> None:
    storage.put(str(tmp_path / "object"), b"content")
    storage.create(str(tmp_path / "object"), b"content")
    storage.put_file(tmp_path / "object", str(tmp_path / "copy"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "object"]


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002], indirect=True)
def test_stored_files_have_the_permissions_that_open_would_give(tmp_path: Path, umask: int) -> None:
    storage.put(str(tmp_path / "put"), b"content")
    storage.create(str(tmp_path / "create"), b"content")
    storage.put(str(tmp_path / "new" / "folder" / "put"), b"content")
    for path in ("put", "create", "new/folder/put"):
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o777 & ~umask


@pytest.mark.parametrize("umask", [0o022], indirect=True)
def test_put_keeps_the_permissions_of_the_file_that_it_replaces(tmp_path: Path, umask: int) -> None:
    del umask
    storage.put(str(tmp_path / "object"), b"content")
    (tmp_path / "object").chmod(0o640)
    storage.put(str(tmp_path / "object"), b"other content")
    assert stat.S_IMODE((tmp_path / "object").stat().st_mode) == 0o640


def test_put_replaces_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"somebody else's")
    (tmp_path / "object").symlink_to(tmp_path / "precious")
    assert not storage.create(str(tmp_path / "object"), b"content")
    storage.put(str(tmp_path / "object"), b"content")
    assert (tmp_path / "precious").read_bytes() == b"somebody else's"
    assert not (tmp_path / "object").is_symlink()
    assert storage.read(str(tmp_path / "object")) == b"content"


def test_put_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(ConfigError, match=f"cannot use {folder}: Is a directory"):
        storage.put(str(folder), b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_remove_takes_an_object_away_once_or_twice(root: str) -> None:
    storage.put(storage.join(root, "a"), b"1")
    storage.put(storage.join(root, "b"), b"2")
    for _ in range(2):
        storage.remove(storage.join(root, "a"))
    assert storage.sizes(root) == {"b": 1}


def test_remove_takes_an_empty_folder_and_refuses_a_full_one(tmp_path: Path) -> None:
    storage.put(str(tmp_path / "folder" / "object"), b"content")
    with pytest.raises(OSError, match="not empty"):
        storage.remove(str(tmp_path / "folder"))
    storage.remove(str(tmp_path / "folder" / "object"))
    storage.remove(str(tmp_path / "folder"))
    assert list(tmp_path.iterdir()) == []
