"""Object storage as it is set up: a certificate of one's own, buckets that anyone may read."""

import json
import os
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from pipelines import storage
from tests.engines.conftest import BIN, Store, Submitter, installed
from tests.engines.s3_server import s3_server

NOBODY = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_SHARED_CREDENTIALS_FILE": "/none",
    "AWS_CONFIG_FILE": "/none",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def public(store: Store) -> str:
    """A bucket that anyone may read, and only its owner may write to; holds a source."""
    store.fs.call_s3("create_bucket", Bucket="public")
    anyone = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": ["arn:aws:s3:::public", "arn:aws:s3:::public/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [anyone]})
    store.fs.call_s3("put_bucket_policy", Bucket="public", Policy=policy)
    store.fs.copy(store.sources["generated"][0], "public/nsynth-train.tfrecord")
    return "s3://public/nsynth-train.tfrecord"


def test_convert_reads_a_public_bucket_without_credentials(
    store: Store, public: str, tmp_path: Path
) -> None:
    nobody = Submitter({**store.env, **NOBODY}, tmp_path)
    said = nobody.fail([public], root=str(tmp_path / "root"))
    assert said.startswith("nsynth: no credentials for s3://public/nsynth-train.tfrecord: set AWS_")
    anonymous = Submitter({**nobody.env, "NSYNTH_S3_ANONYMOUS": "public"}, tmp_path)
    found = anonymous.run([public], root=str(tmp_path / "root"))
    assert found["num_notes"] > 200


def test_bucket_read_without_credentials_cannot_be_the_root(
    store: Store, public: str, tmp_path: Path
) -> None:
    anonymous = Submitter({**store.env, "NSYNTH_S3_ANONYMOUS": "*"}, tmp_path)
    said = anonymous.fail([public], root="s3://public/root")
    assert "nsynth: cannot use s3://public/root" in said
    assert said.endswith(" without credentials: Access Denied.; see NSYNTH_S3_ANONYMOUS\n")


def test_root_may_be_on_a_server_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    installed("versitygw")
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", certificates / "private.key", "-out", certificates / "public.crt"),
        ],
        check=True,
        capture_output=True,
    )
    with s3_server(tmp_path / "s3", certificates=certificates) as env:
        assert listed(env) == (0, "")
        status, said = listed({name: env[name] for name in env if name != "AWS_CA_BUNDLE"})
    assert status == 1
    assert said.startswith("nsynth: cannot use s3://nsynth: SSL validation failed")
    assert said.endswith("; AWS_CA_BUNDLE names the certificates to trust\n")


def listed(env: Mapping[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [str(BIN / "nsynth"), "list", "s3://nsynth"],
        env={**os.environ, **env},
        text=True,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_of_many_writers_at_once_exactly_one_creates(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.env.items():
        monkeypatch.setenv(name, value)
    for number in range(20):
        uri = f"s3://nsynth/create/{number}"
        contents = [f"writer {writer}".encode() for writer in range(8)]
        with ThreadPoolExecutor(8) as pool:
            created = list(pool.map(partial(storage.create, uri), contents))
        assert created.count(True) == 1
        assert storage.read(uri) == contents[created.index(True)]
