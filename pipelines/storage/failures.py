"""What a failure of storage means: it may pass, the user can mend it, or neither.

By names and numbers, since each protocol brings its own exceptions and few have all of them.
"""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from pipelines.errors import ConfigError
from pipelines.storage.location import without_credentials

# botocore's, aiohttp's, urllib3's and s3fs's.
_PASSING: Final = {
    "ClientConnectionError",
    "ClientPayloadError",
    "ConnectionError",
    "FlexibleChecksumError",
    "HTTPClientError",
    "IncompleteRead",
    "ResponseParserError",
    "TimeoutError",
}
_FINAL: Final = {"FileExpired", "SSLError", "ClientSSLError", "ClientConnectorCertificateError"}
_NO_ANSWER: Final = {"EndpointConnectionError", "ConnectTimeoutError", "ClientConnectorError"}
_NO_CREDENTIALS: Final = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
}

_PASSING_STATUS: Final = {408, 429, 500, 502, 503, 504, 509}
_PASSING_CODES: Final = {
    "BadDigest",
    "ConditionalRequestConflict",
    "IncompleteBody",
    # The upload was completed, and the reply lost, or it was swept.
    "NoSuchUpload",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "XAmzContentSHA256Mismatch",
}


def may_pass(err: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    names = _names(err)
    if names & _FINAL:
        return False
    status, code = _answer(err)
    if status or code:
        return status in _PASSING_STATUS or code in _PASSING_CODES
    return bool(names & _PASSING)


def is_refusal(err: BaseException) -> bool:
    """Whether a conditional put was refused because there is an object."""
    return isinstance(err, FileExistsError) or _answer(err)[0] == 412


def is_unsupported(err: BaseException) -> bool:
    """Whether a store cannot put conditionally at all, and says so."""
    if isinstance(err, (TypeError, ValueError, NotImplementedError)):
        return True
    return isinstance(err, OSError) and err.errno in (errno.ENOSYS, errno.ENOTSUP)


def is_out_of_range(err: BaseException) -> bool:
    """Whether a range was asked for that begins behind the object's end."""
    return _answer(err)[0] == 416


def is_misuse(err: BaseException) -> bool:
    """Whether a library will not carry out the call as it stands, such as with a bad endpoint."""
    foreign = type(err).__module__.partition(".")[0] in ("aiobotocore", "aiohttp", "botocore")
    return isinstance(err, ValueError) or (foreign and not _names(err) & _NO_CREDENTIALS)


def in_short(err: BaseException) -> str:
    """A failure in one line, without credentials."""
    text = " ".join(without_credentials(str(err)).split())
    return text[:300] or type(err).__name__


def lasting(uri: str, err: Exception, *, attempts: int) -> OSError:
    """The error of a call that failed at each attempt."""
    if _names(err) & _NO_ANSWER:
        return ConnectionError(f"{uri} cannot be reached: {in_short(err)}")
    times = f" {attempts} times" if attempts > 1 else ""
    return ConnectionError(f"{uri} failed{times}: {in_short(err)}")


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turns the failures that the user can mend into one sentence."""
    try:
        yield
    except FileNotFoundError as err:
        raise ConfigError(_missing(uri)) from err
    except (PermissionError, NotADirectoryError, IsADirectoryError) as err:
        reason = err.strerror or str(err)
        raise ConfigError(
            f"cannot use {uri}: {reason}; check the path and its permissions"
        ) from err
    except OSError as err:
        if err.errno == errno.EROFS:
            raise ConfigError(f"cannot write to {uri}: the file system is read-only") from err
        raise
    except Exception as err:
        if _names(err) & _NO_CREDENTIALS:
            raise ConfigError(
                f"no credentials for {uri}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or AWS_PROFILE"
            ) from err
        raise


def _names(err: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(err).__mro__}


def _answer(err: BaseException) -> tuple[int, str]:
    """HTTP status and error code of the server's answer; 0 and nothing where it gave none."""
    for raised in (err, err.__cause__):
        response = getattr(raised, "response", None)
        if isinstance(response, Mapping):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return int(status), str(response.get("Error", {}).get("Code", ""))
        status = getattr(raised, "status", None)
        if isinstance(status, int):
            return status, ""
    return 0, ""


def _missing(uri: str) -> str:
    protocol, _, rest = uri.partition("://")
    if not rest or protocol == "file":
        return f"there is no file {uri}; check the path"
    bucket = rest.partition("/")[0]
    return f"there is no {uri}; check that bucket {bucket!r} exists and the key is right"
