"""What goes wrong for good ends in one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines import storage
from pipelines.errors import ConfigError
from pipelines.storage.failures import with_retries


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


@pytest.mark.parametrize("share", [0.5, 0.75, 1.0])
def test_waits_double_and_are_spread_over_their_upper_half(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setenv("NSYNTH_STORAGE_ATTEMPTS", "9")
    monkeypatch.setenv("NSYNTH_STORAGE_WAIT_SEC", "0.5")
    waits, drawn = list[float](), list[tuple[float, float]]()

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return share

    def fail() -> None:
        raise ConnectionError("reset by peer")

    with pytest.raises(ConnectionError, match="failed 9 times: reset by peer"):
        with_retries("s3://bucket/x", fail, sleep=waits.append, uniform=uniform)
    assert waits == [share * longest for longest in (0.5, 1, 2, 4, 8, 16, 30, 30)]
    assert set(drawn) == {(0.5, 1)}
