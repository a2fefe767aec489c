"""One rule for every place that takes text which is stored and shown."""

import re
import time

import jsonschema  # type: ignore[import-untyped] # its types are a package of their own
import pytest

from pipelines.credentials import (
    SECRET_LOCATION,
    SECRET_OPTION,
    is_secret_location,
    is_secret_option,
    without_credentials,
)

SECRET_QUERIES = [
    # Google, S3 (versions 4 and 2), Azure, CloudFront, Dropbox
    "?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=me",
    "?X-Goog-Signature=hunter2",
    "?GoogleAccessId=me&Expires=1&Signature=hunter2",
    "?X-Amz-Credential=me",
    "?X-Amz-Security-Token=hunter2",
    "?AWSAccessKeyId=hunter2",
    "?Expires=1&Signature=hunter2",
    "?sig=hunter2",
    "?se=2030-01-01",
    "?sv=2024-11-04",
    "?Policy=p&Key-Pair-Id=hunter2",
    "?dl=1&rlkey=hunter2",
    "?api_key=hunter2",
    "?apikey=hunter2",
    "?api-key=hunter2",
    "?apiKey=hunter2",
    "?key=hunter2",
    "?password=hunter2",
    "?passwd=hunter2",
    "?pwd=hunter2",
    "?token=hunter2",
    "?token=",
    "?access_token=hunter2",
    "?auth=hunter2",
    "?authorization=hunter2",
    "?secret=hunter2",
    "?client_secret=hunter2",
    "?a=1&b=2&TOKEN=hunter2",
    "?PASSWORD=hunter2",
    "#access_token=hunter2",
    "#/page?token=hunter2",
    ";token=hunter2",
    "?%74oken=hunter2",
    "?t%6Fke%6e=hunter2",
    "?%2574oken=hunter2",
    "%3Ftoken%3Dhunter2",
    "?url=https%3A%2F%2Fhost%3Ftoken%3Dhunter2",
]
HARMLESS_QUERIES = [
    "?download=1",
    "?raw=true&version=2",
    "?versionId=3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY",
    "?id=1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms",
    "?author=me&keyword=bass&design=1&compass=2",
    "?path=a/b&files=c.tfrecord",
    "?filter%5Bname%5D=3",
    "#page=2",
]


@pytest.mark.parametrize("query", SECRET_QUERIES)
@pytest.mark.parametrize("place", ["https://host/file", "host/file", "s3://bucket/key"])
def test_is_secret_location_in_queries_and_fragments(place: str, query: str) -> None:
    assert is_secret_location(place + query)


@pytest.mark.parametrize("query", HARMLESS_QUERIES)
def test_is_secret_location_leaves_harmless_queries_alone(query: str) -> None:
    assert not is_secret_location(f"https://host/file.tfrecord{query}")


@pytest.mark.parametrize(
    "uri", ["https://u:p@host/x", "HTTPS://U@HOST/x", "s3:/KEY:SECRET@bucket/x", "sftp://u:p@h/x"]
)
def test_is_secret_location_with_a_user(uri: str) -> None:
    assert is_secret_location(uri)


@pytest.mark.parametrize(
    "uri",
    ["s3://bucket/key=3/token=4/C#4.wav", "sftp://me@host/x", "/me@work/a:b@c", "http://h:80?x=1"],
)
def test_is_secret_location_leaves_names_alone(uri: str) -> None:
    assert not is_secret_location(uri)


SECRET_OPTIONS = [
    "s3_secret_access_key=hunter2",
    "--s3_session_token=hunter2",
    "AZURE_CONNECTION_STRING=hunter2",
    "my-password=hunter2",
    'environment_config={"env": {"AWS_SECRET_ACCESS_KEY": "hunter2"}}',
    "environment_config={'env': {'TOKEN' : 'hunter2'}}",
    "experiments=a,token=hunter2",
    "temp_location=gs://me:hunter2@bucket/x",
    "temp_location=https://host/x?sig=hunter2",
]
HARMLESS_OPTIONS = [
    "no_auth=true",
    "--dataflow_kms_key=projects/p/keyRings/k/cryptoKeys/k",
    "enable_hot_key_logging=true",
    "job_endpoint=token-server:9092",
    'environment_config={"os": "linux", "command": "/opt/apache/beam/boot"}',
    "sdk_container_image=gcr.io/project/auth:1",
    "a=b=c",
]


@pytest.mark.parametrize("pair", SECRET_OPTIONS)
def test_is_secret_option_by_name_and_by_value(pair: str) -> None:
    assert is_secret_option(pair)


@pytest.mark.parametrize("pair", HARMLESS_OPTIONS)
def test_is_secret_option_leaves_others_alone(pair: str) -> None:
    assert not is_secret_option(pair)


def test_patterns_mean_the_same_in_a_json_schema() -> None:
    for pattern, secret, harmless in (
        (SECRET_LOCATION, SECRET_QUERIES, HARMLESS_QUERIES),
        (SECRET_OPTION, SECRET_OPTIONS, HARMLESS_OPTIONS),
    ):
        # Browsers' expressions have neither flags nor names of groups in the pattern itself.
        assert not re.search(r"\(\?(?:[aiLmsux-]|P)", pattern)
        schema = jsonschema.Draft202012Validator({"not": {"pattern": pattern}})
        assert not any(schema.is_valid(text) for text in secret)
        assert all(schema.is_valid(text) for text in harmless)


def test_patterns_take_long_text_in_no_time() -> None:
    began = time.process_time()
    for text in ("token" * 4_000, "?" * 20_000, "=" * 20_000, "key-" * 5_000, "%74" * 5_000):
        is_secret_location(f"?{text}")
        is_secret_option(f"a={text}")
    assert time.process_time() - began < 30


def test_without_credentials_leaves_users_and_queries_out_of_a_message() -> None:
    text = (
        'Could not connect to "http://user:password@127.0.0.1:9/x": 403, url=\'https://cdn/x?'
        "X-Amz-Signature=hunter2#a' or to s3://bucket/a@b/C#4.wav"
    )
    assert without_credentials(text) == (
        "Could not connect to \"http://127.0.0.1:9/x\": 403, url='https://cdn/x' "
        "or to s3://bucket/a@b/C#4.wav"
    )
