"""Credentials come from the environment or a profile, and go nowhere but to the server."""

import logging
from pathlib import Path

import pytest
import s3fs

from pipelines import storage
from pipelines.convert.job import convert
from pipelines.errors import ConfigError
from tests.pipelines.convert.records import note, tfrecord
from tests.pipelines.storage.faults import Fault, Proxy, first

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIANSYNTHTEST",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
    "AWS_SESSION_TOKEN": "FwoGZXIvYXdzEBYaDsession",
}


@pytest.fixture
def secrets(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("secrets")
def test_no_secret_is_in_logs_manifest_or_shards(
    proxy: Proxy,
    direct: s3fs.S3FileSystem,
    bucket: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = tmp_path / "nsynth-valid.tfrecord"
    source.write_bytes(tfrecord(note(0), note(1)) + b"damage")
    direct.put_file(str(source), f"{bucket}/data/{source.name}")
    proxy.plan = first("PUT", Fault.INTERNAL)
    with caplog.at_level(logging.INFO):
        convert([f"{bucket}/data/{source.name}"], root=f"{bucket}/root", max_quarantined=1)
    assert "trying again" in caplog.text
    stored = [
        direct.cat_file(path) + str(direct.metadata(path)).encode()
        for path in direct.find(f"{bucket}/root")
    ]
    assert len(stored) >= 3
    for secret in SECRETS.values():
        assert secret not in caplog.text
        assert not any(secret.encode() in content for content in stored)


def test_no_secret_is_in_an_error(
    secrets: None, proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NSYNTH_STORAGE_ATTEMPTS", "2")
    for fault in (Fault.SLOW_DOWN, Fault.RESET, Fault.STALL):
        proxy.plan = first("PUT", fault, times=9)
        with pytest.raises(ConnectionError) as failure:
            storage.put(f"{bucket}/{fault.name}", b"content")
        assert not any(secret in str(failure.value) for secret in SECRETS.values())


def test_an_endpoint_with_credentials_is_refused(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:password@127.0.0.1:9")
    with pytest.raises(ConfigError, match="AWS_ENDPOINT_URL holds credentials; set") as failure:
        storage.read("s3://bucket/x")
    assert "password" not in str(failure.value)
