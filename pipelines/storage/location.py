"""Locations as text: join, split and check them, without access to remote storage."""

import errno
import os
import re
from pathlib import Path
from typing import Final

import platformdirs

from pipelines.credentials import is_secret_location
from pipelines.errors import ConfigError

# What a server of files never takes for a part of the name: a query or a fragment.
_QUERY: Final = re.compile(r"((?:^|::)https?://[^?#]*)[?#].*", re.IGNORECASE | re.DOTALL)

S3_PROTOCOLS: Final = ("s3", "s3a")
_GOOGLE_PROTOCOLS: Final = ("gs", "gcs")

_MISTYPED: Final = re.compile(
    r"(?P<protocol>s3a?|gs|gcs|file|https?|memory|abfss?|az|hdfs|hf|sftp|ftp)"
    r"(?P<separator>:/*|//+)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)


def join(uri: str, *parts: str) -> str:
    """Return the location of `parts` under `uri`."""
    folder = uri if uri.endswith("/") else f"{uri}/"
    return folder + "/".join(part.strip("/") for part in parts)


def name(uri: str) -> str:
    """Return the last part of a location, without a query: names are stored and shown."""
    return without_query(uri).rstrip("/").rpartition("/")[2]


def parent(uri: str) -> str:
    """Return the location that holds `uri`."""
    return without_query(uri).rstrip("/").rpartition("/")[0]


def without_query(uri: str) -> str:
    """Return a location of http or https without its query and fragment, any other as it is.

    Elsewhere `?` and `#` belong to names: C#4.wav.
    """
    return _QUERY.sub(r"\1", uri)


def protocol_of(uri: str) -> str:
    """Return the protocol, without `://`."""
    return uri.partition("://")[0]


def bucket_of(uri: str) -> str:
    """Return the bucket or host of a remote location."""
    return uri.partition("://")[2].partition("/")[0]


def is_s3(uri: str) -> bool:
    """Return whether a location is in a store that speaks S3."""
    return protocol_of(uri) in S3_PROTOCOLS


def is_google(uri: str) -> bool:
    """Return whether a location is in Google Cloud Storage."""
    return protocol_of(uri) in _GOOGLE_PROTOCOLS


def absolute(uri: str) -> str:
    """Return `uri` independent of the working folder; remote ones are unchanged.

    Raises:
      ConfigError: it holds credentials, or is mistyped.
    """
    refuse_credentials(uri)
    path = local_path(uri)
    if path is not None:
        return str(path)
    return uri if uri.endswith("://") else uri.rstrip("/")


def local_path(uri: str) -> Path | None:
    """Return the absolute path of a location on this machine, None for a remote one.

    Raises:
      ConfigError: it is meant for another place and mistyped, so that it looks like a path.
    """
    refuse_mistyped(uri)
    if uri.startswith("file://"):
        uri = uri.removeprefix("file://")
    elif "://" in uri:
        return None
    # A link keeps its own name, which is the one that the user knows.
    return Path(os.path.abspath(Path(uri).expanduser()))  # noqa: PTH100 - `resolve` follows links


def is_link(uri: str) -> bool:
    """Return whether a location is a symbolic link of this machine."""
    path = local_path(uri)
    return path is not None and path.is_symlink()


def broken_link(path: Path) -> str:
    """Say which link on the way to a path leads nowhere; return an empty text where none does."""
    for place in (*reversed(path.parents), path):
        try:
            if place.is_symlink():
                place.stat()
        except FileNotFoundError:
            return (
                f"{place} is a link to {place.readlink()}, which does not exist; put that back or "
                "remove the link"
            )
        except OSError as err:
            if err.errno == errno.ELOOP:
                return f"{place} is a link that leads back to itself; remove it"
            # The caller's own failure says more.
            return ""
    return ""


def base_note(uri: str) -> str:
    """Return what an error about a relative path adds: the folder that it is relative to.

    On a worker it differs from the folder of the person who starts the run.
    """
    if "://" in uri or Path(uri).expanduser().is_absolute():
        return ""
    return f" ({uri} is relative to {Path.cwd()}, where the work runs)"


def cache_dir(root: str) -> Path:
    """Return the local folder for caches of `root`.

    NSYNTH_CACHE names it; by default it is in a local root, or in the user's cache folder.

    Raises:
      ConfigError: NSYNTH_CACHE names another place.
    """
    if named := os.environ.get("NSYNTH_CACHE"):
        folder = local_path(named)
        if folder is None:
            raise ConfigError(f"NSYNTH_CACHE must be a folder of this machine, got {named}")
        return folder.resolve()
    local = local_path(root)
    return local / "cache" if local else platformdirs.user_cache_path("nsynth-flows")


def refuse_credentials(uri: str) -> None:
    """Refuse a location that holds a password, a key or a signature, and do not repeat it.

    Locations go to logs, manifests and reports.

    Raises:
      ConfigError: it holds credentials.
    """
    if is_secret_location(uri):
        protocol = re.match(r"[A-Za-z0-9.+-]+://", uri)
        place = f"this {protocol[0]} location" if protocol else "this location"
        raise ConfigError(
            f"{place} holds credentials; leave them out of it and set them in the environment or "
            "a profile, or download the file first"
        )


def refuse_mistyped(uri: str) -> None:
    """Refuse a location with the name of a protocol that is not followed by `://` and a place.

    As a path it would make a folder `s3:` on this machine, or look like an empty root.

    Raises:
      ConfigError: it is mistyped; the message has the right spelling.
    """
    found = _MISTYPED.fullmatch(uri)
    if found is None:
        return
    protocol, separator, rest = found["protocol"].lower(), found["separator"], found["rest"]
    if protocol == "file":
        is_right = uri.startswith(("file:///", "file://~"))
        right = f"file:///{rest}" if "/" in separator.removeprefix("://") else rest
    elif protocol == "memory":
        is_right, right = uri.startswith("memory://"), f"memory://{rest}"
    else:
        is_right = found["protocol"] == protocol and separator == "://" and rest != ""
        right = f"{protocol}://{rest or 'BUCKET'}"
    if not is_right:
        refuse_credentials(right)
        raise ConfigError(
            f"{uri} is no location: write {right}, or ./{uri} for a file or folder of that name"
        )
