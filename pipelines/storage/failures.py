"""Classify storage failures, explain them in one sentence, and retry the transient ones.

A failure is transient, or the user can mend it, or it is neither. It is classified by names and
numbers, since each protocol has its own exceptions and few machines have all of the libraries.
"""

import errno
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

from pipelines.credentials import without_credentials
from pipelines.errors import ConfigError
from pipelines.storage.location import broken_link, bucket_of, is_google, local_path
from pipelines.storage.settings import is_anonymous, settings

# botocore's, aiohttp's, urllib3's, s3fs's and gcsfs's.
_PASSING: Final = {
    "ChecksumError",
    "ClientConnectionError",
    "ClientPayloadError",
    "ConnectionError",
    "FlexibleChecksumError",
    "HTTPClientError",
    "IncompleteRead",
    "ResponseParserError",
    "TimeoutError",
}
_UNTRUSTED: Final = {"SSLError", "ClientSSLError", "ClientConnectorCertificateError"}
_FINAL: Final = {"FileExpired", *_UNTRUSTED}
_NO_ANSWER: Final = {"EndpointConnectionError", "ConnectTimeoutError", "ClientConnectorError"}
_NO_CREDENTIALS: Final = {
    "GoogleAuthError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
}

_LIBRARIES: Final = {"aiobotocore", "aiohttp", "botocore", "gcsfs", "google"}

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

_MAX_WAIT_SEC: Final = 30.0
log = logging.getLogger(__name__)
T = TypeVar("T")


def is_transient(err: BaseException) -> bool:
    """Return whether the same call may succeed a moment later."""
    names = _names(err)
    if names & _FINAL or _redirects(err):
        return False
    status, code = _answer(err)
    if status or code:
        return status in _PASSING_STATUS or code in _PASSING_CODES
    return bool(names & _PASSING)


def is_refusal(err: BaseException) -> bool:
    """Return whether a conditional put was refused because the object exists."""
    return isinstance(err, FileExistsError) or _answer(err)[0] == 412


def is_unsupported(err: BaseException) -> bool:
    """Return whether a store says that it cannot put conditionally."""
    if isinstance(err, (TypeError, ValueError, NotImplementedError)):
        return True
    return isinstance(err, OSError) and err.errno in (errno.ENOSYS, errno.ENOTSUP)


def is_out_of_range(err: BaseException) -> bool:
    """Return whether a range begins after the object's end."""
    return _answer(err)[0] == 416


def is_missing_bucket(err: BaseException) -> bool:
    """Return whether a store says that there is no such bucket."""
    return _answer(err)[1] == "NoSuchBucket"


def missing_bucket(uri: str) -> str:
    """Return the error for a location in a bucket that does not exist."""
    which = "AWS_ENDPOINT_URL" if uri.startswith("s3") else "the project"
    return f"there is no bucket {bucket_of(uri)!r} for {uri}; check its name and {which}"


def is_misuse(err: BaseException) -> bool:
    """Return whether a library refuses the call as it is, for example with a bad endpoint."""
    library = type(err).__module__.partition(".")[0]
    if isinstance(err, ValueError) or _redirects(err):
        return True
    return library in _LIBRARIES and not _lacks_credentials(err)


def short_message(err: BaseException) -> str:
    """Return a failure in one line, without credentials."""
    text = " ".join(without_credentials(str(err)).split())
    return text[:300] or type(err).__name__


def misuse_error(uri: str, err: BaseException) -> ConfigError:
    """Return the error of a call that a library refuses."""
    if _redirects(err):
        return ConfigError(_astray(uri))
    if uri.startswith("http") and _answer(err)[0]:
        return ConfigError(_refused_by_web_server(uri, err))
    hint = "; AWS_CA_BUNDLE names the certificates to trust" if _names(err) & _UNTRUSTED else ""
    return ConfigError(f"cannot use {uri}: {short_message(err)}{hint}")


def gave_up(uri: str, err: Exception, *, attempts: int) -> OSError:
    """Return the error of a call that failed at each attempt."""
    if _names(err) & _NO_ANSWER:
        return ConnectionError(f"{uri} cannot be reached: {short_message(err)}")
    times = f" {attempts} times" if attempts > 1 else ""
    status, said = _answer(err)[0], short_message(err)
    # For a web server's answer fsspec gives nothing but the address.
    said = f"the server answered {status}" if status and said == uri else said
    return ConnectionError(f"{uri} failed{times}: {said}{_page(err)}")


def no_store(uri: str) -> ConfigError:
    """Return the error of a server whose answers are not those of a store."""
    if uri.startswith("s3"):
        return ConfigError(
            f"the server of {uri} does not answer as S3 does; check AWS_ENDPOINT_URL, which may "
            "name a web page of the server and not its S3 port"
        )
    return ConfigError(
        f"the server of {uri} does not keep what is written to it; check the address"
    )


@contextmanager
def user_errors(uri: str) -> Iterator[None]:
    """Turn failures that the user can mend into a ConfigError of one sentence."""
    try:
        yield
    except FileNotFoundError as err:
        raise ConfigError(_missing(uri, err)) from err
    except (FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError) as err:
        if (local := local_path(uri)) is not None and (problem := broken_link(local)):
            raise ConfigError(problem) from err
        raise ConfigError(_forbidden(uri, err.strerror or str(err))) from err
    except OSError as err:
        if err.errno == errno.ELOOP:
            raise ConfigError(_missing(uri, err)) from err
        if err.errno == errno.EROFS:
            raise ConfigError(f"cannot write to {uri}: the file system is read-only") from err
        if is_google(uri) and str(err).startswith("Forbidden"):
            raise ConfigError(_forbidden(uri, short_message(err))) from err
        if (sentence := _refused(uri, err)) is not None:
            raise ConfigError(sentence) from err
        raise
    except Exception as err:
        if uri.startswith("http") and _answer(err)[0]:
            raise ConfigError(_refused_by_web_server(uri, err)) from err
        if _lacks_credentials(err):
            raise ConfigError(f"no credentials for {uri}: {_how_to_sign_in(uri)}") from err
        raise


def _refused(uri: str, err: OSError) -> str | None:
    """Return the error for a refusal without an exception type of its own; else None."""
    status, code = _answer(err)
    if isinstance(err, ConnectionError) or status in _PASSING_STATUS or code in _PASSING_CODES:
        return None
    # 409, 412 and 416 concern the object, and callers handle them.
    if not 400 <= status < 500 or status in (409, 412, 416):
        return _astray(uri) if _redirects(err) else None
    known = {
        401: f"no credentials for {uri}: {_how_to_sign_in(uri)}",
        403: _forbidden(uri, "Forbidden"),
        404: f"there is no {uri}; check the key and the bucket",
    }
    return known.get(
        status,
        f"the server of {uri} refused the request ({code or status}): {short_message(err)}; check "
        "AWS_ENDPOINT_URL, the region and the credentials",
    ) + _page(err)


def _redirects(err: BaseException) -> bool:
    """Return whether a store redirects without saying where.

    botocore then asks for the region, is redirected again, and never ends.
    """
    chain = (err, err.__cause__, err.__context__, getattr(err, "error", None))
    if any(isinstance(raised, RecursionError) for raised in chain):
        return True
    status, code = _answer(err)
    return status in (301, 302, 307, 308) or code in ("PermanentRedirect", "TemporaryRedirect")


def _astray(uri: str) -> str:
    return (
        f"the server of {uri} sends elsewhere and does not say where: bucket {bucket_of(uri)!r} is "
        "in another region or on another server; set AWS_DEFAULT_REGION to its region, and check "
        "AWS_ENDPOINT_URL"
    )


def _page(err: BaseException) -> str:
    """Return a note if the answer is a web page instead of one of S3."""
    for raised in (err, err.__cause__, err.__context__):
        response = getattr(raised, "response", None)
        if isinstance(response, Mapping):
            headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            if str(headers.get("content-type", "")).startswith("text/html"):
                return "; it was a web page that came: does AWS_ENDPOINT_URL name an S3 server?"
    return ""


def _lacks_credentials(err: BaseException) -> bool:
    # Without credentials gcsfs continues anonymously, and the server refuses that.
    return bool(_names(err) & _NO_CREDENTIALS) or _answer(err)[0] == 401


def _how_to_sign_in(uri: str) -> str:
    if is_google(uri):
        return (
            "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS "
            "to the file of a service account"
        )
    return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


def _forbidden(uri: str, reason: str) -> str:
    bucket = bucket_of(uri)
    if uri.startswith("s3") and is_anonymous(bucket):
        return f"cannot use {uri} without credentials: {reason}; see NSYNTH_S3_ANONYMOUS"
    return f"cannot use {uri}: {reason}; check the path and its permissions"


def _names(err: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(err).__mro__}


def _answer(err: BaseException) -> tuple[int, str]:
    """Return HTTP status and error code of the server's answer; 0 and "" without one."""
    # s3fs sets the cause of some of its errors only.
    for raised in (err, err.__cause__, err.__context__):
        response = getattr(raised, "response", None)
        if isinstance(response, Mapping):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return int(status), str(response.get("Error", {}).get("Code", ""))
        # gcsfs's errors have a code; aiohttp's have one only for a reply that was cut short.
        status = getattr(raised, "code" if type(raised).__name__ == "HttpError" else "status", None)
        if isinstance(status, int):
            return status, ""
    return 0, ""


def _missing(uri: str, err: BaseException) -> str:
    local = local_path(uri)
    if local is not None:
        return broken_link(local) or f"there is no file {uri}; check the path"
    if uri.startswith("http"):
        return _refused_by_web_server(uri, err)
    if is_missing_bucket(err):
        return missing_bucket(uri)
    return f"there is no {uri}; check that bucket {bucket_of(uri)!r} exists and the key is right"


def _refused_by_web_server(uri: str, err: BaseException) -> str:
    status, _ = _answer(err)
    if status in (401, 403):
        return f"the server of {uri} does not let everybody read it ({status}); download it first"
    if status in (0, 404, 410):
        return f"there is no {uri}; check the address"
    return f"the server of {uri} answered {status}; check the address"


def with_retries(
    uri: str,
    call: Callable[[], T],
    *,
    again: Callable[[], T] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    uniform: Callable[[float, float], float] = random.uniform,
) -> T:
    """Call with jittered exponential backoff until it succeeds or fails permanently.

    Args:
      uri: location of the object, for messages.
      call: the first attempt.
      again: each later attempt, if different: a write first checks whether it has arrived.
      sleep: waits a number of seconds; see `uniform`.
      uniform: draws a number between two others; tests replace both.

    Raises:
      ConfigError: the library refuses the call.
      OSError: it failed at each attempt.
    """
    given = settings()
    attempt = 0
    while True:
        attempt += 1
        try:
            return call() if attempt == 1 or again is None else again()
        except Exception as err:
            if is_misuse(err) and not is_transient(err):
                raise misuse_error(uri, err) from err
            if not is_transient(err):
                raise
            if attempt >= given.attempts:
                raise gave_up(uri, err, attempts=attempt) from err
            # Spread, so that workers which failed together do not return together.
            longest_sec = min(given.wait_sec * 2.0 ** (attempt - 1), _MAX_WAIT_SEC)
            wait_sec = longest_sec * uniform(0.5, 1)
            log.warning("%s: %s; trying again in %.1f s", uri, short_message(err), wait_sec)
        sleep(wait_sec)
