"""Where storage is and who asks: by the environment and by profiles, as botocore reads them."""

import importlib.util
from pathlib import Path

import pytest
import s3fs

from pipelines import storage
from pipelines.convert.job import convert
from pipelines.errors import ConfigError
from pipelines.storage import apply_forwarded, check_visible, settings_to_forward
from pipelines.storage.settings import FORWARDED_VARIABLES
from tests.pipelines.convert.records import note, tfrecord


@pytest.fixture
def nobody(changing_s3: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user of that server without credentials, anywhere."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_profile_says_where_and_who(
    nobody: None,
    bucket: str,
    s3_endpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"[profile studio]\nendpoint_url = {s3_endpoint}\nregion = eu-central-1\n"
        "aws_access_key_id = key\naws_secret_access_key = secret\n"
    )
    for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "studio")
    assert storage.create(f"{bucket}/x", b"content")
    assert storage.read(f"{bucket}/x") == b"content"


def test_profile_that_is_not_there_is_named(
    nobody: None, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "studio")
    with pytest.raises(ConfigError, match=r"no credentials for s3://.*/x: set AWS_ACCESS_KEY_ID"):
        storage.read(f"{bucket}/x")


@pytest.mark.parametrize("others", ["*", "first, {},", "{}"])
def test_anonymous_bucket_is_read_without_credentials(
    nobody: None,
    bucket: str,
    direct: s3fs.S3FileSystem,
    monkeypatch: pytest.MonkeyPatch,
    others: str,
) -> None:
    name = bucket.removeprefix("s3://")
    direct.pipe_file(f"{bucket}/x", b"content", ACL="public-read")
    direct.call_s3("put_bucket_acl", Bucket=name, ACL="public-read")
    monkeypatch.setenv("NSYNTH_S3_ANONYMOUS", others.format(name))
    assert storage.read(f"{bucket}/x") == b"content"
    assert storage.sizes(bucket) == {"x": 7}


def test_bucket_that_not_everyone_may_read_says_so(
    nobody: None, bucket: str, direct: s3fs.S3FileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct.pipe_file(f"{bucket}/x", b"content")
    monkeypatch.setenv("NSYNTH_S3_ANONYMOUS", "*")
    with pytest.raises(ConfigError, match="without credentials: Forbidden; see NSYNTH_S3_ANONYM"):
        storage.read(f"{bucket}/x")


def test_other_buckets_still_need_credentials(
    nobody: None, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NSYNTH_S3_ANONYMOUS", "public")
    with pytest.raises(ConfigError, match="no credentials for"):
        storage.read(f"{bucket}/x")


@pytest.mark.parametrize("named", ["s3://public", "public;other", "public/data"])
def test_anonymous_buckets_are_named_without_protocol_or_path(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("NSYNTH_S3_ANONYMOUS", named)
    with pytest.raises(ConfigError, match=f"takes names of buckets .* got '{named}'"):
        storage.read("s3://bucket/x")


@pytest.mark.skipif(bool(importlib.util.find_spec("gcsfs")), reason="gcsfs is there")
def test_google_without_its_package_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"cannot open gs://b/x: pip install .*flows\[gcs\]"):
        storage.read("gs://b/x")


def test_convert_takes_files_by_their_uris(tmp_path: Path) -> None:
    source = tmp_path / "nsynth-valid.tfrecord"
    source.write_bytes(tfrecord(note(0), note(1)))
    by_path = convert([str(source)], root=str(tmp_path / "root"))
    by_uri = convert([f"file://{source}"], root=f"file://{tmp_path}/root")
    assert by_uri == by_path


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FORWARDED_VARIABLES:
        # Set first, so that what a test adopts is taken away again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_carried_has_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    assert settings_to_forward() == {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}


def test_adopt_leaves_a_workers_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage:9000")
    apply_forwarded({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "NSYNTH_STORAGE_ATTEMPTS": "2"})
    assert settings_to_forward() == {
        "AWS_ENDPOINT_URL": "http://storage:9000",
        "NSYNTH_STORAGE_ATTEMPTS": "2",
    }


def test_adopt_takes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    apply_forwarded({"AWS_SECRET_ACCESS_KEY": "hunter2"})
    assert settings_to_forward() == {}


def test_check_visible_takes_a_place_that_can_be_written(root: str) -> None:
    check_visible(root)


def test_check_visible_refuses_a_place_that_is_not_there(
    tmp_path: str, s3_environment: None
) -> None:
    for place in (f"{tmp_path}/none", "s3://no-such-bucket/prefix"):
        with pytest.raises(ConfigError, match=f"a worker cannot use {place}: there is no "):
            check_visible(place)
