import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import s3fs

from pipelines import storage
from pipelines.errors import ConfigError


@pytest.fixture(params=["local", "memory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty location of each kind."""
    if request.param == "s3":
        return str(request.getfixturevalue("bucket"))
    return f"memory://{tmp_path.name}" if request.param == "memory" else str(tmp_path)


@pytest.mark.parametrize(
    ("uri", "joined"),
    [
        ("/root", "/root/a/b"),
        ("/root/", "/root/a/b"),
        ("/", "/a/b"),
        ("s3://bucket", "s3://bucket/a/b"),
        ("s3://bucket/root/", "s3://bucket/root/a/b"),
        ("memory://", "memory://a/b"),
    ],
)
def test_join_puts_one_slash_between_parts(uri: str, joined: str) -> None:
    assert storage.join(uri, "a/", "/b") == joined


def test_name_and_parent_take_a_location_apart() -> None:
    assert storage.name("s3://bucket/notes/manifest.json") == "manifest.json"
    assert storage.parent("s3://bucket/notes/manifest.json") == "s3://bucket/notes"


def test_absolute_does_not_depend_on_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/nsynth")
    assert storage.absolute("./data/../root/") == f"{tmp_path}/root"
    assert storage.absolute("~/root") == "/home/nsynth/root"
    assert storage.absolute(f"file://{tmp_path}/root") == f"{tmp_path}/root"
    assert storage.absolute("s3://bucket/root/") == "s3://bucket/root"
    assert storage.absolute("memory://") == "memory://"


def test_put_then_read_gives_the_same_bytes(root: str) -> None:
    uri = storage.join(root, "deep", "folder", "object")
    storage.put(uri, b"first")
    storage.put(uri, b"second content")
    assert storage.read(uri) == b"second content"
    assert storage.read_range(uri, 3, 9) == b"ond co"
    assert storage.read_range(uri, 7, 100) == b"content"
    assert storage.read_range(uri, 5, 5) == b""
    with storage.open_seekable(uri) as file:
        file.seek(7)
        assert file.read() == b"content"


def test_create_does_not_touch_what_is_there(root: str) -> None:
    uri = storage.join(root, "manifest.json")
    assert storage.create(uri, b"first")
    assert not storage.create(uri, b"second")
    assert storage.read(uri) == b"first"


class Refusal(BaseHTTPRequestHandler):
    """Refuses every write as MinIO does, which does not say which condition did not hold."""

    # Only then is the client told to send the body that it asks about first.
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = (
            b"<Error><Code>PreconditionFailed</Code>"
            b"<Message>At least one of the pre-conditions you specified did not hold</Message>"
            b"</Error>"
        )
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(412)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_create_understands_a_refusal_that_names_no_condition(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch
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


def test_sizes_lists_what_lies_directly_under(root: str) -> None:
    for name, size in (("a", 1), ("b", 20), ("folder/c", 3)):
        storage.put(storage.join(root, "notes", name), bytes(size))
    assert storage.sizes(storage.join(root, "notes")) == {"a": 1, "b": 20}
    assert storage.sizes(storage.join(root, "nothing")) == {}


def test_sizes_sees_what_another_process_writes(bucket: str, s3_endpoint: str) -> None:
    storage.put(f"{bucket}/notes/a", b"1")
    assert storage.sizes(f"{bucket}/notes") == {"a": 1}
    other = s3fs.S3FileSystem(endpoint_url=s3_endpoint, skip_instance_cache=True)
    other.pipe_file(f"{bucket}/notes/b", b"22")
    assert storage.sizes(f"{bucket}/notes") == {"a": 1, "b": 2}


def test_glob_gives_whole_locations_in_order(root: str) -> None:
    for name in ("b.tfrecord", "a.tfrecord", "c.json"):
        storage.put(storage.join(root, name), b"x")
    found = storage.glob(storage.join(root, "*.tfrecord"))
    assert [storage.name(uri) for uri in found] == ["a.tfrecord", "b.tfrecord"]
    assert all(storage.read(uri) == b"x" for uri in found)


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


def test_put_leaves_nothing_else_and_lets_others_read(tmp_path: Path) -> None:
    storage.put(str(tmp_path / "object"), b"content")
    storage.create(str(tmp_path / "object"), b"content")
    storage.put_file(tmp_path / "object", str(tmp_path / "copy"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "object"]
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o644


def test_put_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(ConfigError, match=f"cannot use {folder}: Is a directory"):
        storage.put(str(folder), b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_check_writable_makes_a_folder_and_leaves_it_empty(tmp_path: Path) -> None:
    storage.check_writable(str(tmp_path / "new/root"))
    assert list((tmp_path / "new/root").iterdir()) == []


def test_check_writable_leaves_a_bucket_empty(bucket: str) -> None:
    storage.check_writable(f"{bucket}/root")
    assert s3fs.S3FileSystem().find(bucket) == []


def test_check_writable_refuses_a_root_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot use .*: Not a directory; check the path and"):
        storage.check_writable(str(tmp_path / "file" / "root"))


def test_check_writable_refuses_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(ConfigError, match=r"cannot make the folder .*/root: File exists"):
        storage.check_writable(str(tmp_path / "root"))


def test_check_writable_refuses_a_root_that_nobody_can_make() -> None:
    with pytest.raises(ConfigError, match="cannot make the folder /proc/nsynth/root: No such file"):
        storage.check_writable("/proc/nsynth/root")


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


@pytest.mark.parametrize(
    "call", [storage.identity, storage.check_writable, lambda uri: storage.put(uri, b"")]
)
def test_unknown_bucket_is_named(s3_environment: None, call: Call) -> None:
    with pytest.raises(ConfigError, match="there is no s3://no-such-bucket/x; check that bucket"):
        call("s3://no-such-bucket/x")


def test_missing_credentials_are_named(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ConfigError, match="no credentials for s3://bucket/x: set AWS_ACCESS_KEY"):
        storage.read("s3://bucket/x")


def test_endpoint_that_does_not_answer_may_be_retried(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ConnectionError, match="s3://bucket/x cannot be reached: Could not connect"):
        storage.identity("s3://bucket/x")


def test_unknown_protocol_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="cannot open gopher://host/x: Protocol not known"):
        storage.read("gopher://host/x")
