from pathlib import Path

import pytest

from pipelines import storage
from pipelines.errors import ConfigError


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


@pytest.mark.parametrize(
    ("uri", "right"),
    [
        ("s3:/bucket/x", "s3://bucket/x"),
        ("s3:bucket/x", "s3://bucket/x"),
        ("s3:///bucket/x", "s3://bucket/x"),
        ("s3:////bucket", "s3://bucket"),
        ("s3//bucket", "s3://bucket"),
        ("S3://bucket", "s3://bucket"),
        ("S3:/bucket", "s3://bucket"),
        ("s3://", "s3://BUCKET"),
        ("s3:", "s3://BUCKET"),
        ("s3:/", "s3://BUCKET"),
        ("s3a:/bucket", "s3a://bucket"),
        ("gs:/bucket/x", "gs://bucket/x"),
        ("gs:/", "gs://BUCKET"),
        ("GS://bucket", "gs://bucket"),
        ("gcs:bucket", "gcs://bucket"),
        ("https:/host/x", "https://host/x"),
        ("Http://host", "http://host"),
        ("memory:/x", "memory://x"),
        ("file:/x", "file:///x"),
        ("file:x", "x"),
        ("file://data/x", "data/x"),
        ("FILE:///x", "file:///x"),
    ],
)
def test_a_mistyped_location_is_refused_with_the_right_spelling(uri: str, right: str) -> None:
    verbs = (storage.absolute, storage.local_path, storage.sizes, storage.check_writable)
    for verb in (*verbs, storage.check_exists, storage.cache_dir, storage.glob, storage.free_bytes):
        with pytest.raises(ConfigError) as failure:
            verb(uri)
        assert f"is no location: write {right}, or ./{uri} for a file or" in str(failure.value)


@pytest.mark.parametrize(
    "path",
    ["./s3:/bucket", "s3", "s3/x", "gs.d/x", "files:x", "file", "my s3:x", "httpd:x", "x/s3:/y"],
)
def test_a_path_that_only_resembles_a_protocol_is_one(path: str) -> None:
    assert storage.local_path(path) == Path(path).absolute()


@pytest.mark.parametrize("named", ["s3://bucket/cache", "s3:/bucket/cache", "S3://bucket"])
def test_the_cache_is_a_folder_of_this_machine(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSYNTH_CACHE", named)
    with pytest.raises(
        ConfigError, match=r"folder of this machine, got s3|no location: write s3://"
    ):
        storage.cache_dir("/root")


def test_a_mistyped_location_with_credentials_is_not_repeated() -> None:
    with pytest.raises(ConfigError, match="holds credentials") as failure:
        storage.local_path(f"s3:/AKIAKEY:{SECRET}@bucket/notes")
    assert SECRET not in str(failure.value)


SECRET = "wJalr/XUt+nFEMI"  # noqa: S105 - of this test


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://AKIAKEY:{SECRET}@bucket/notes",
        f"s3://AKIAKEY:{SECRET}@bucket",
        f"https://user:{SECRET}@host/file",
        "https://token@host:8080/file",
        f"sftp://user:{SECRET}@host/file",
        f"simplecache::s3://AKIAKEY:{SECRET}@bucket/notes",
        f"https://host/file?X-Amz-Credential=AKIAKEY&X-Amz-Signature={SECRET}",
        f"https://host/file?sv=2024&sig={SECRET}",
        f"https://host/file?X-Goog-Signature={SECRET}",
        f"https://host/file?API_KEY={SECRET}",
        f"https://host/file#access_token={SECRET}",
        f"host/file?t%6Fken={SECRET}",
    ],
)
def test_a_location_with_credentials_is_refused_and_not_repeated(uri: str) -> None:
    for verb in (storage.absolute, storage.read, storage.check_writable, storage.glob):
        with pytest.raises(ConfigError, match="location holds credentials; leave") as failure:
            verb(uri)
        assert not {"AKIAKEY", SECRET, "token", "user"} & set(_words(str(failure.value)))
        assert failure.value.__cause__ is None


def _words(text: str) -> list[str]:
    return text.replace(":", " ").replace("@", " ").split()


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/notes/a@b:c",
        "https://host:8080/file@2",
        "http://127.0.0.1:9000",
        "sftp://user@host/file",
        "https://host/file?version=2",
        "/home/me@work/a:b@c",
    ],
)
def test_a_location_without_credentials_is_not_refused(uri: str) -> None:
    assert storage.absolute(uri) == uri


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("https://host/data/notes.tfrecord?download=1#top", "notes.tfrecord"),
        ("https://host/data/notes.tfrecord?path=a/b", "notes.tfrecord"),
        ("HTTP://host/data/notes.tfrecord#a/b", "notes.tfrecord"),
        ("simplecache::https://host/data/notes.tfrecord?download=1", "notes.tfrecord"),
        # Elsewhere they belong to the name.
        ("s3://bucket/data/C#4?.wav", "C#4?.wav"),
        ("/data/C#4?.wav", "C#4?.wav"),
    ],
)
def test_name_is_without_the_query_of_a_link(uri: str, name: str) -> None:
    assert storage.name(uri) == name
    assert storage.parent(uri).endswith("data") or storage.parent(uri).endswith("bucket/data")
