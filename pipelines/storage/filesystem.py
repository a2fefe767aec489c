"""The fsspec filesystem of a location; no other module imports fsspec."""

import hashlib
import logging
import os
from types import MethodType
from typing import Any, Final, cast

import fsspec

from pipelines.credentials import is_secret_location
from pipelines.errors import ConfigError
from pipelines.storage.failures import no_store
from pipelines.storage.location import (
    S3_PROTOCOLS,
    bucket_of,
    is_google,
    is_s3,
    local_path,
    refuse_credentials,
)
from pipelines.storage.settings import is_anonymous, settings

# Protocols in which bytes changed in transit are not noticed.
_PLAIN: Final = ("http", "ftp", "webhdfs")

# The size of a part of a multipart upload; less than two, as shards are, is sent in one request.
PART_BYTES: Final = 8 * 2**20

_CONNECT_SEC: Final = 5.0

# A slower put counts as stalled; sixteen of them fill a line of 4 Mbit/s.
_MIN_UPLOAD_BYTES_PER_SEC: Final = 32 * 2**10


def resolve(uri: str, *, checksum: bool = True) -> tuple[Any, str]:
    """Return the filesystem of a location, and its path there.

    Args:
      checksum: whether to compare what S3 sends with its checksum.

    Raises:
      ConfigError: the protocol is unknown, or the location holds credentials.
    """
    refuse_credentials(uri)
    local = local_path(uri)
    if local is not None:
        return fsspec.filesystem("file"), str(local)
    try:
        fs, path = fsspec.core.url_to_fs(uri, **_options(uri, checksum=checksum))
    except ImportError as err:
        needs = "pip install 'nsynth-flows[gcs]'" if is_google(uri) else str(err)
        raise ConfigError(f"cannot open {uri}: {needs}") from err
    except ValueError as err:
        raise ConfigError(f"cannot open {uri}: {err}") from err
    if is_s3(uri):
        # Otherwise s3fs repeats a read 5 times 5 times, in waits that all processes share.
        fs.retries = 1
    if is_google(uri):
        without_retries(fs)
    return fs, str(path)


def pipe(fs: Any, path: str, data: bytes, **options: Any) -> None:
    """Make one attempt to write an object of a remote store whole."""
    if fs.protocol == S3_PROTOCOLS:
        # s3fs puts an object of less than two parts in one request.
        options["chunksize"] = PART_BYTES
    if fs.async_impl:
        # The read timeout begins when the last byte is sent, which never happens where the server
        # does not take them.
        options["timeout"] = settings().timeout_sec + len(data) / _MIN_UPLOAD_BYTES_PER_SEC
    fs.pipe_file(path, data, **options)


def cat(fs: Any, path: str, uri: str) -> tuple[bytes, bool]:
    """Make one attempt to read an object of a remote store whole, in one request.

    Returns:
      The bytes, and whether a byte that was changed on the way would have been noticed: by the
      connection, by the checksum that came with them, or because their MD5 is the ETag, as it is of
      what was put at once and not encrypted by a key of the store.
    """
    if fs.protocol != S3_PROTOCOLS:
        return cast(bytes, fs.cat_file(path)), is_guarded(fs, uri)
    # s3fs would ask for the size first, and for what is large in parts, of any writer's object.
    data, etag, has_checksum = fsspec.asyn.sync(fs.loop, _get, fs, path)
    if not etag:
        raise no_store(uri)
    if has_checksum or is_guarded(fs, uri):
        return data, True
    return data, hashlib.md5(data, usedforsecurity=False).hexdigest() == etag


def is_guarded(fs: Any, uri: str) -> bool:
    """Return whether the connection to a remote store notices what is changed on the way.

    TLS and SSH do; the checksums of TCP let one of some ten thousand damaged packets pass.
    """
    protocol = uri.partition("://")[0]
    if is_s3(uri):
        return str(fs.s3.meta.endpoint_url).startswith("https://")
    if is_google(uri):
        return not os.environ.get("STORAGE_EMULATOR_HOST", "").startswith("http://")
    return protocol not in _PLAIN


async def _get(fs: Any, path: str) -> tuple[bytes, str, bool]:
    """Return an object of S3, its ETag, and whether it was held against a checksum."""
    bucket, key, version = fs.split_path(path)
    which = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
    reply = await fs._call_s3("get_object", **which)
    try:
        data = await reply["Body"].read()
    finally:
        reply["Body"].close()
    # Of the bodies of replies only those that check themselves have one.
    return data, reply.get("ETag", "").strip('"'), hasattr(reply["Body"], "checksum")


def _options(uri: str, *, checksum: bool) -> dict[str, Any]:
    if is_google(uri):
        return google_options()
    if not is_s3(uri):
        return {}
    for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        endpoint = os.environ.get(variable, "")
        if "@" in endpoint or is_secret_location(endpoint):
            raise ConfigError(
                f"{variable} holds credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or AWS_PROFILE"
            )
    timeout_sec = settings().timeout_sec
    config: dict[str, Any] = {
        "connect_timeout": min(_CONNECT_SEC, timeout_sec),
        "read_timeout": timeout_sec,
        # More threads than that never read at a time.
        "max_pool_connections": 32,
        # `retry` does it: with botocore's own a dead server would be called five times as often,
        # and after a repeated conditional put nobody knows whose object refuses it.
        "retries": {"mode": "standard", "total_max_attempts": 1},
    }
    if not checksum:
        config["response_checksum_validation"] = "when_required"
    return {
        # A cached listing would hide the shards that other processes write.
        "use_listings_cache": False,
        "config_kwargs": config,
        "anon": is_anonymous(bucket_of(uri)),
    }


def google_options() -> dict[str, Any]:
    """Return options of gcsfs's filesystem; call this before gcsfs is imported."""
    # Otherwise every call asks a second service, by gRPC, for the kind of the bucket.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # It logs tracebacks of errors that are raised as well and become one sentence.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    # A cached listing would hide the shards that other processes write.
    options: dict[str, Any] = {"use_listings_cache": False}
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        # Emulators need no credentials, and looking for some takes seconds.
        options["token"] = "anon"  # noqa: S105 - it means none
    return options


def without_retries(fs: Any) -> None:
    """Make gcsfs send each request once; it would send six for each of our attempts."""
    once = getattr(type(fs)._request, "__wrapped__", None)
    if once is not None:
        fs._request = MethodType(once, fs)
