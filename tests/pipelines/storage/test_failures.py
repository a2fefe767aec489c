"""What goes wrong for good ends in one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import storage
from pipelines.errors import ConfigError


@pytest.mark.parametrize(
    "call",
    [
        storage.identity,
        storage.check_writable,
        lambda uri: storage.put(uri, b""),
        lambda uri: storage.create(uri, b""),
    ],
    ids=["identity", "check_writable", "put", "create"],
)
def test_unknown_bucket_is_named(s3_environment: None, call: Callable[[str], object]) -> None:
    with pytest.raises(ConfigError, match="there is no bucket 'no-such-bucket' for s3://no-such"):
        call("s3://no-such-bucket/x")


def test_missing_credentials_are_named(
    changing_s3: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ConfigError, match="no credentials for s3://bucket/x: set AWS_ACCESS_KEY"):
        storage.read("s3://bucket/x")


def test_endpoint_that_does_not_answer_may_be_retried(
    changing_s3: None, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match="s3://bucket/x cannot be reached: Could not connect"):
        storage.identity("s3://bucket/x")


def test_endpoint_that_is_none_is_one_sentence(
    changing_s3: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    with pytest.raises(ConfigError, match="cannot use s3://bucket/x: Invalid endpoint: localhost"):
        storage.put("s3://bucket/x", b"content")


def test_unknown_protocol_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="cannot open gopher://host/x: Protocol not known"):
        storage.read("gopher://host/x")


@pytest.mark.parametrize("value", ["soon", "0", "nan", "inf", "-1"])
def test_a_setting_that_is_no_number_is_named(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("NSYNTH_STORAGE_ATTEMPTS", value)
    with pytest.raises(
        ConfigError, match=f"NSYNTH_STORAGE_ATTEMPTS must be .* at least 1, got '{value}'"
    ):
        storage.read("s3://bucket/x")
